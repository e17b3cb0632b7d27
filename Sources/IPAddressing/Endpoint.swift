/// Where a peer's UDP packets go: address, port, and for link-local IPv6 the interface's index.
public struct Endpoint: Hashable, Sendable {
    public let address: IPAddress
    /// Host byte order.
    public let port: UInt16
    /// Interface index in the birth namespace; 0 for none (checklist D9).
    public let scopeID: UInt32

    public init(address: IPAddress, port: UInt16, scopeID: UInt32 = 0) {
        self.address = address
        self.port = port
        self.scopeID = scopeID
    }

    /// `192.0.2.1:51820`, `[2001:db8::1]:51820`, `[fe80::1%3]:51820`. A scope is a number, or a name that
    /// `interfaceIndex` knows; wg(8) writes names.
    public init?(_ text: some StringProtocol, interfaceIndex: (String) -> UInt32? = { _ in nil }) {
        guard let parts = HostAndPort(text), let port = parts.numericPort else { return nil }
        var host = Substring(parts.host)
        var scopeID: UInt32 = 0
        if let percent = host.firstIndex(of: "%") {
            let scope = String(host[host.index(after: percent)...])
            guard let index = UInt32(scope) ?? interfaceIndex(scope) else { return nil }
            scopeID = index
            host = host[..<percent]
        }
        guard let address = IPAddress(host), address.isIPv6 == parts.isBracketed, scopeID == 0 || address.isIPv6
        else { return nil }
        self.init(address: address, port: port, scopeID: scopeID)
    }
}

extension Endpoint: CustomStringConvertible {
    public var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: scopeID == 0 ? "[\(address)]:\(port)" : "[\(address)%\(scopeID)]:\(port)"
        }
    }
}

/// `HOST:PORT` before any name is resolved: a name, an IPv4 address, or an IPv6 address in brackets.
public struct HostAndPort: Hashable, Sendable {
    public let host: String
    /// A number, or a service name for getaddrinfo(3).
    public let port: String
    public let isBracketed: Bool

    public init?(_ text: some StringProtocol) { self.init(whole: String(text)) }

    private init?(whole text: String) {
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let rest = text[text.index(after: close)...]
            guard rest.hasPrefix(":") else { return nil }
            host = String(text[text.index(after: text.startIndex)..<close])
            port = String(rest.dropFirst())
            isBracketed = true
        } else {
            guard let colon = text.lastIndex(of: ":") else { return nil }
            host = String(text[..<colon])
            port = String(text[text.index(after: colon)...])
            isBracketed = false
            // A bare IPv6 address has colons of its own: which of them divides would be a guess.
            if host.contains(":") { return nil }
        }
        if host.isEmpty || port.isEmpty || host.contains(where: \.isWhitespace) { return nil }
    }

    /// The port if it is a number from 0 to 65535.
    public var numericPort: UInt16? {
        port.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(port) : nil
    }
}

extension HostAndPort: CustomStringConvertible {
    public var description: String { isBracketed ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
