import CLinux
import Glibc
import IPAddressing

/// Where a peer's datagrams go, and which of our addresses they leave from: a plain value of machine words,
/// copied without reference counting.
///
/// The source is the address at which the peer's last authenticated packet arrived ("sticky source", D8).
/// Only the address is pinned, not the interface: with both, a route that moved to another interface would
/// send into the void.
struct DatagramPath: Equatable {
    /// Network-order bytes as two host-order words; an IPv4 address is the lower half of `remoteLow`.
    var remoteHigh: UInt64
    var remoteLow: UInt64
    var sourceHigh: UInt64 = 0
    var sourceLow: UInt64 = 0
    /// Interface index for link-local IPv6 remotes, else 0.
    var scopeID: UInt32 = 0
    /// Where the last packet came in; 0 when unknown.
    var sourceInterface: UInt32 = 0
    /// Host byte order.
    var port: UInt16
    var isIPv6: Bool
    var hasSource = false

    init(_ endpoint: Endpoint) {
        port = endpoint.port
        scopeID = endpoint.scopeID
        switch endpoint.address {
        case .v4(let address): (isIPv6, remoteHigh, remoteLow) = (false, 0, UInt64(address.rawValue))
        case .v6(let address): (isIPv6, remoteHigh, remoteLow) = (true, address.high, address.low)
        }
    }

    /// From the `sockaddr` that recvmsg filled; nil for another family or a length that does not fit.
    init?(remote bytes: UnsafeRawPointer, _ byteCount: Int) {
        guard byteCount >= MemoryLayout<sockaddr_in>.size else { return nil }
        switch Int32(bytes.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET:
            isIPv6 = false
            remoteHigh = 0
            remoteLow = UInt64(bytes.bigEndian32(4))
        case AF_INET6:
            guard byteCount >= MemoryLayout<sockaddr_in6>.size else { return nil }
            isIPv6 = true
            remoteHigh = bytes.bigEndian64(8)
            remoteLow = bytes.bigEndian64(16)
            scopeID = bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
        default: return nil
        }
        port = bytes.bigEndian16(2)
    }

    var endpoint: Endpoint {
        let address: IPAddress =
            isIPv6
            ? .v6(IPv6Address(high: remoteHigh, low: remoteLow))
            : .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: remoteLow)))
        return Endpoint(address: address, port: port, scopeID: scopeID)
    }

    mutating func setSource(_ information: in_pktinfo) {
        sourceHigh = 0
        sourceLow = UInt64(UInt32(bigEndian: information.ipi_spec_dst.s_addr))
        sourceInterface = UInt32(bitPattern: information.ipi_ifindex)
        hasSource = true
    }

    mutating func setSource(_ information: in6_pktinfo) {
        withUnsafeBytes(of: information.ipi6_addr) { bytes in
            guard let base = bytes.baseAddress else { return }
            sourceHigh = base.bigEndian64(0)
            sourceLow = base.bigEndian64(8)
        }
        sourceInterface = information.ipi6_ifindex
        hasSource = true
    }

    mutating func clearSource() {
        hasSource = false
        sourceHigh = 0
        sourceLow = 0
        sourceInterface = 0
    }

    /// Writes the remote as a `sockaddr_in` or `sockaddr_in6` into 28 bytes; its size.
    func writeRemote(to bytes: UnsafeMutableRawPointer) -> socklen_t {
        memset(bytes, 0, MemoryLayout<sockaddr_in6>.size)
        bytes.storeBytes(of: sa_family_t(isIPv6 ? AF_INET6 : AF_INET), as: sa_family_t.self)
        bytes.storeBigEndian16(Int(port), 2)
        if isIPv6 {
            bytes.storeBytes(of: remoteHigh.bigEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: remoteLow.bigEndian, toByteOffset: 16, as: UInt64.self)
            bytes.storeBytes(of: scopeID, toByteOffset: 24, as: UInt32.self)
            return socklen_t(MemoryLayout<sockaddr_in6>.size)
        }
        bytes.storeBigEndian32(UInt32(truncatingIfNeeded: remoteLow), 4)
        return socklen_t(MemoryLayout<sockaddr_in>.size)
    }

    func hasSameRemote(as other: DatagramPath) -> Bool {
        remoteLow == other.remoteLow && remoteHigh == other.remoteHigh && port == other.port && isIPv6 == other.isIPv6
            && scopeID == other.scopeID
    }
}

extension UnsafeRawPointer {
    func bigEndian64(_ offset: Int) -> UInt64 {
        UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
