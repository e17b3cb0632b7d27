/// An address of either family.
public enum IPAddress: Hashable, Sendable {
    case v4(IPv4Address)
    case v6(IPv6Address)

    public init?(_ text: some StringProtocol) {
        guard let address = asciiBytes(of: text, { IPAddress(ascii: $0) }) else { return nil }
        self = address
    }

    /// Four or sixteen bytes in network order; nil for any other count.
    @inlinable public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(IPv4Address(rawValue: bytes.reduce(0) { $0 << 8 | UInt32($1) }))
        case 16: self = .v6(IPv6Address(bytes: bytes))
        default: return nil
        }
    }

    public var isIPv4: Bool { if case .v4 = self { true } else { false } }
    public var isIPv6: Bool { !isIPv4 }

    /// 32 or 128.
    public var bitWidth: UInt8 { isIPv4 ? 32 : 128 }

    /// Network byte order, four or sixteen bytes.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }
}

extension IPAddress: CustomStringConvertible {
    public var description: String { withASCII { String(decoding: $0, as: UTF8.self) } }
}

extension IPAddress: Comparable {
    /// IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left.rawValue < right.rawValue
        case (.v6(let left), .v6(let right)): (left.high, left.low) < (right.high, right.low)
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}
