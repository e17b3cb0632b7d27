import IPAddressing
import WireGuardCrypto
import WireGuardModel

/// What a wg-quick(8) file says: the device, and what is done around it. Names are not resolved, keys in files
/// are not read, `%i` stays `%i`.
public struct TunnelConfiguration: Equatable, Sendable {
    public var privateKey: KeySource<PrivateKey>?
    /// Nil or 0: a random port.
    public var listenPort: UInt16?
    /// Nil or 0: none.
    public var firewallMark: UInt32?
    public var addresses: [InterfaceAddress] = []
    public var dnsServers: [IPAddress] = []
    public var dnsSearchDomains: [String] = []
    /// Bytes; nil: found out when the tunnel is made.
    public var mtu: UInt16?
    /// Nil is `auto`, said or not.
    public var table: RoutingTable?
    public var hooks = Hooks()
    /// Write the live state back to the file when the tunnel goes.
    public var saveConfig = false
    public var peers: [TunnelPeer] = []

    public init() {}

    /// Whether the text itself holds a private or preshared key, which nobody else should read.
    public var holdsKeys: Bool {
        privateKey?.key != nil || peers.contains { $0.presharedKey?.key != nil }
    }
}

/// One `[Peer]` section.
public struct TunnelPeer: Equatable, Sendable {
    public var publicKey: PublicKey
    public var presharedKey: KeySource<PresharedKey>?
    public var endpoint: UnresolvedEndpoint?
    /// Nil or 0: off.
    public var persistentKeepaliveSeconds: UInt16?
    public var allowedIPs: [AllowedIPEntry] = []

    public init(publicKey: PublicKey) { self.publicKey = publicKey }

    /// Whether its prefixes are changes to what a live peer has, instead of the whole list.
    public var isIncremental: Bool { allowedIPs.contains { $0.sign != .none } }
}

/// Where a key is: in the text, or somewhere that the caller reads (`KeyReference`).
public enum KeySource<Key: Equatable & Sendable>: Equatable, Sendable {
    case key(Key)
    /// A path, relative to the directory of the configuration file.
    case file(String)
    /// A command for the shell, whose output is the key.
    case command(String)

    public var key: Key? { if case .key(let key) = self { key } else { nil } }
}

/// An `Endpoint=` before names are resolved, which happens in the birth namespace (promise P2).
public enum UnresolvedEndpoint: Hashable, Sendable, CustomStringConvertible {
    case address(Endpoint)
    /// A host name, a link-local address with an interface's name as its scope, or a port by its service name.
    case name(HostAndPort)

    public var description: String {
        switch self {
        case .address(let endpoint): endpoint.description
        case .name(let name): name.description
        }
    }
}

/// One item of `AllowedIPs=`. With a sign it changes what a live peer has (checklist A6); without, it is part of
/// the whole list.
public struct AllowedIPEntry: Hashable, Sendable, CustomStringConvertible {
    public enum Sign: String, Sendable {
        case none = ""
        case add = "+"
        case remove = "-"
    }

    public var sign: Sign
    public var prefix: IPPrefix

    public init(_ prefix: IPPrefix, sign: Sign = .none) {
        self.prefix = prefix
        self.sign = sign
    }

    public var description: String { "\(sign.rawValue)\(prefix)" }
}

/// `Table=`, wg-quick(8).
public enum RoutingTable: Hashable, Sendable, CustomStringConvertible {
    /// No routes at all.
    case off
    case auto
    /// 1…4294967295.
    case number(UInt32)
    /// A name of ip-route(8)'s rt_tables.
    case name(String)

    public var description: String {
        switch self {
        case .off: "off"
        case .auto: "auto"
        case .number(let number): "\(number)"
        case .name(let name): name
        }
    }
}

/// The shell commands of wg-quick(8), each list in the file's order.
public struct Hooks: Hashable, Sendable {
    public var preUp: [String] = []
    public var postUp: [String] = []
    public var preDown: [String] = []
    public var postDown: [String] = []

    public init() {}

    public var isEmpty: Bool { preUp.isEmpty && postUp.isEmpty && preDown.isEmpty && postDown.isEmpty }

    /// With every `%i` replaced by the interface's name.
    public func expanded(interface: String) -> Hooks {
        func expand(_ commands: [String]) -> [String] { commands.map { naming(interface, in: $0) } }
        var result = Hooks()
        result.preUp = expand(preUp)
        result.postUp = expand(postUp)
        result.preDown = expand(preDown)
        result.postDown = expand(postDown)
        return result
    }
}

private func naming(_ interface: String, in command: String) -> String {
    var result = ""
    var rest = Substring(command)
    while let sign = rest.firstIndex(of: "%") {
        let next = rest.index(after: sign)
        result += rest[..<sign]
        if rest[next...].first == "i" {
            result += interface
            rest = rest[next...].dropFirst()
        } else {
            result += "%"
            rest = rest[next...]
        }
    }
    return result + rest
}
