/// An IPv4 address. RFC 791; text as in RFC 3986 `IPv4address` (four decimal numbers, no leading zeros).
public struct IPv4Address: Hashable, Sendable {
    /// Host byte order: `10.0.0.1` is `0x0a000001`.
    public let rawValue: UInt32

    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        rawValue = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    public static let any = IPv4Address(rawValue: 0)
    public static let loopback = IPv4Address(127, 0, 0, 1)

    public init?(_ text: some StringProtocol) {
        guard let address = asciiBytes(of: text, { IPv4Address(ascii: $0) }) else { return nil }
        self = address
    }

    /// Network byte order.
    public var bytes: [UInt8] {
        [UInt8(rawValue >> 24), UInt8(rawValue >> 16 & 0xff), UInt8(rawValue >> 8 & 0xff), UInt8(rawValue & 0xff)]
    }
}

extension IPv4Address: CustomStringConvertible {
    public var description: String { IPAddress.v4(self).description }
}
