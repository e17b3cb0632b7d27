/// An address on an interface with its on-link length, host bits kept, and perhaps the address of the other
/// end: `172.20.0.1/32 peer 172.20.0.2/32`. ip-address(8).
public struct InterfaceAddress: Hashable, Sendable {
    public let address: IPAddress
    public let length: UInt8
    public let peer: IPPrefix?

    /// Nil when the length does not fit, or the peer is of the other family.
    public init?(address: IPAddress, length: UInt8, peer: IPPrefix? = nil) {
        guard length <= address.bitWidth else { return nil }
        if let peer, peer.address.bitWidth != address.bitWidth { return nil }
        self.address = address
        self.length = length
        self.peer = peer
    }

    public init?(_ text: some StringProtocol) {
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard let first = words.first, let parsed = InterfaceAddress.parse(first) else { return nil }
        switch words.count {
        case 1:
            self.init(address: parsed.address, length: parsed.length)
        case 3 where words[1] == "peer":
            guard let other = InterfaceAddress.parse(words[2]),
                let peer = IPPrefix(masking: other.address, length: other.length)
            else { return nil }
            self.init(address: parsed.address, length: parsed.length, peer: peer)
        default:
            return nil
        }
    }

    /// The network that the address makes on-link.
    public var prefix: IPPrefix {
        IPPrefix(masking: address, length: length) ?? (address.isIPv4 ? .everythingIPv4 : .everythingIPv6)
    }

    /// `ADDRESS[/LENGTH]` with host bits kept.
    public static func parse(_ text: some StringProtocol) -> (address: IPAddress, length: UInt8)? {
        asciiBytes(of: text) { parse(ascii: $0) }
    }
}

extension InterfaceAddress: CustomStringConvertible {
    public var description: String { peer.map { "\(address)/\(length) peer \($0)" } ?? "\(address)/\(length)" }
}
