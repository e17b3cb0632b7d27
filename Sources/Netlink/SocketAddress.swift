import CLinux
import Glibc
import IPAddressing

extension Endpoint {
    /// A `sockaddr_in` or `sockaddr_in6` as the kernel and getaddrinfo(3) write it; nil for other families.
    public init?(socketAddress bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 2 else { return nil }
        switch Int32(bytes.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET where bytes.count >= MemoryLayout<sockaddr_in>.size:
            let address = bytes.loadUnaligned(as: sockaddr_in.self)
            self.init(
                address: .v4(IPv4Address(rawValue: UInt32(bigEndian: address.sin_addr.s_addr))),
                port: UInt16(bigEndian: address.sin_port))
        case AF_INET6 where bytes.count >= MemoryLayout<sockaddr_in6>.size:
            let address = bytes.loadUnaligned(as: sockaddr_in6.self)
            self.init(
                address: .v6(IPv6Address(bytes: bytes[8..<24])), port: UInt16(bigEndian: address.sin6_port),
                scopeID: address.sin6_scope_id)
        default: return nil
        }
    }

    /// As the kernel reads it: 16 or 28 bytes.
    public var socketAddress: [UInt8] {
        switch address {
        case .v4(let value):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = value.rawValue.bigEndian
            return withUnsafeBytes(of: &address) { Array($0) }
        case .v6(let value):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = scopeID
            withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: value.bytes) }
            return withUnsafeBytes(of: &address) { Array($0) }
        }
    }
}
