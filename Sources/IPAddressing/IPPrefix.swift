/// A network: an address whose host bits are zero, and a length. RFC 4632.
public struct IPPrefix: Hashable, Sendable {
    public let address: IPAddress
    /// 0…32 or 0…128 bits.
    public let length: UInt8

    /// Masks the host bits off (checklist A1). Nil when the length does not fit the family.
    public init?(masking address: IPAddress, length: UInt8) {
        guard length <= address.bitWidth else { return nil }
        self.length = length
        switch address {
        case .v4(let value):
            self.address = .v4(IPv4Address(rawValue: value.rawValue & UInt32.mask(length)))
        case .v6(let value):
            self.address = .v6(
                IPv6Address(
                    high: value.high & UInt64.mask(min(length, 64)),
                    low: value.low & UInt64.mask(length > 64 ? length - 64 : 0)))
        }
    }

    /// `10.0.0.0/8`, or a bare address for its full length; host bits are masked off.
    public init?(_ text: some StringProtocol) {
        guard let parsed = InterfaceAddress.parse(text) else { return nil }
        self.init(masking: parsed.address, length: parsed.length)
    }

    public static let everythingIPv4 = IPPrefix(unchecked: .v4(.any), length: 0)
    public static let everythingIPv6 = IPPrefix(unchecked: .v6(.any), length: 0)

    private init(unchecked address: IPAddress, length: UInt8) {
        self.address = address
        self.length = length
    }

    public func contains(_ other: IPAddress) -> Bool {
        other.bitWidth == address.bitWidth && IPPrefix(masking: other, length: length)?.address == address
    }

    public func contains(_ other: IPPrefix) -> Bool { other.length >= length && contains(other.address) }
}

extension FixedWidthInteger where Self: UnsignedInteger {
    /// The upper `length` bits set.
    static func mask(_ length: UInt8) -> Self {
        length == 0 ? 0 : Self.max << Self(Self.bitWidth - Int(length))
    }
}

extension IPPrefix: CustomStringConvertible {
    public var description: String { "\(address)/\(length)" }
}
