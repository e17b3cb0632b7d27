/// An IPv6 address without scope. RFC 4291; text by RFC 5952.
public struct IPv6Address: Hashable, Sendable {
    /// The first eight bytes, host byte order.
    public let high: UInt64
    /// The last eight bytes, host byte order.
    public let low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static let any = IPv6Address(high: 0, low: 0)
    public static let loopback = IPv6Address(high: 0, low: 1)

    /// Sixteen bytes in network order.
    @inlinable public init(bytes: some Collection<UInt8>) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in bytes.prefix(16) {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        self.init(high: high, low: low)
    }

    /// Network byte order.
    public var bytes: [UInt8] {
        (0..<16).map { index in
            let word = index < 8 ? high : low
            return UInt8(truncatingIfNeeded: word >> UInt64((7 - index % 8) * 8))
        }
    }

    public init?(_ text: some StringProtocol) {
        guard let address = asciiBytes(of: text, { IPv6Address(ascii: $0) }) else { return nil }
        self = address
    }
}

extension IPv6Address: CustomStringConvertible {
    /// RFC 5952.
    public var description: String { IPAddress.v6(self).description }
}
