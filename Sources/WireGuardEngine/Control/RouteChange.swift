import CLinux
import Glibc
import LinuxSystem

/// A change of the birthplace's addresses or routes, and whose sticky source it puts in doubt (checklist D8).
///
/// The driver looks the route up anew after any change and keeps the source while it is a local address and the route
/// leaves by the same interface. A worker cannot ask, so it errs on the side of routing: a source goes when its
/// address went, or when a route changed that leads to the peer. Whatever else changes on a busy machine (containers
/// that come and go) leaves it alone. Read by the monitor, judged by control. rtnetlink(7).
struct RouteChange: Equatable {
    enum Kind: UInt64 {
        case addressGone = 1
        case routeChanged
        /// Messages were lost.
        case unknown
    }

    var kind: Kind
    var isIPv6 = false
    /// The address or the route's destination as two host-order words; an IPv4 address is the lower half of `low`.
    var high: UInt64 = 0
    var low: UInt64 = 0
    var prefixLength: UInt8 = 0

    static let unknown = RouteChange(kind: .unknown)

    private init(kind: Kind) { self.kind = kind }

    /// `body` is what follows the nlmsghdr; nil for what concerns no source.
    init?(messageType: UInt16, body: UnsafeRawBufferPointer) {
        guard body.count >= 8 else { return nil }
        let headerBytes: Int
        let wanted: [UInt16]
        switch Int32(messageType) {
        case Int32(RTM_DELADDR):
            (kind, headerBytes, wanted) = (.addressGone, 8, [UInt16(IFA_LOCAL), UInt16(IFA_ADDRESS)])
        case Int32(RTM_NEWROUTE), Int32(RTM_DELROUTE):
            // The local table follows the addresses, and multicast leads to no peer.
            guard body.count >= 12, body[7] == UInt8(RTN_UNICAST) || body[7] >= UInt8(RTN_BLACKHOLE) else { return nil }
            (kind, headerBytes, wanted) = (.routeChanged, 12, [UInt16(RTA_DST.rawValue)])
            prefixLength = body[1]
        default: return nil
        }
        switch Int32(body[0]) {
        case AF_INET: isIPv6 = false
        case AF_INET6: isIPv6 = true
        default: return nil
        }
        let size = isIPv6 ? 16 : 4
        guard let value = wanted.lazy.compactMap({ RouteChange.attribute($0, body, headerBytes) }).first else {
            // A default route has no destination; an address without itself is none.
            if kind == .addressGone || prefixLength != 0 { return nil }
            return
        }
        guard value.count >= size, let base = value.baseAddress, Int(prefixLength) <= size * 8 else { return nil }
        if isIPv6 { high = base.bigEndian64(0) }
        low = isIPv6 ? base.bigEndian64(8) : UInt64(base.bigEndian32(0))
    }

    /// As the monitor writes it into a record, and back.
    var words: (UInt64, UInt64, UInt64) {
        (high, low, kind.rawValue | (isIPv6 ? 256 : 0) | UInt64(prefixLength) << 16)
    }

    /// Anything that cannot be read is taken for the worst.
    init(words: (UInt64, UInt64, UInt64)) {
        kind = Kind(rawValue: words.2 & 255) ?? .unknown
        isIPv6 = words.2 & 256 != 0
        (high, low) = (words.0, words.1)
        prefixLength = UInt8(truncatingIfNeeded: words.2 >> 16)
    }

    /// Whether the source of this path may be wrong now.
    func concerns(_ path: DatagramPath) -> Bool {
        guard path.hasSource else { return false }
        switch kind {
        case .unknown: return true
        case .addressGone: return path.isIPv6 == isIPv6 && path.sourceHigh == high && path.sourceLow == low
        case .routeChanged:
            guard path.isIPv6 == isIPv6 else { return false }
            if !isIPv6 {
                return (path.remoteLow ^ low) & RouteChange.mask(Int(prefixLength) + 32) & 0xffff_ffff == 0
            }
            return (path.remoteHigh ^ high) & RouteChange.mask(Int(prefixLength)) == 0
                && (path.remoteLow ^ low) & RouteChange.mask(Int(prefixLength) - 64) == 0
        }
    }

    /// The first `count` bits of a word.
    private static func mask(_ count: Int) -> UInt64 {
        count <= 0 ? 0 : count >= 64 ? .max : ~(UInt64.max >> UInt64(count))
    }

    private static func attribute(_ wanted: UInt16, _ body: UnsafeRawBufferPointer, _ headerBytes: Int)
        -> UnsafeRawBufferPointer?
    {
        var offset = headerBytes
        while body.count - offset >= 4 {
            let length = Int(body.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            let kind = body.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self)
            guard length >= 4, length <= body.count - offset else { return nil }
            if kind & 0x3fff == wanted {
                return UnsafeRawBufferPointer(rebasing: body[(offset + 4)..<(offset + length)])
            }
            offset += (length + 3) & ~3
        }
        return nil
    }
}
