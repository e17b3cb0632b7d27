/// The sections of a configuration file.
enum ConfigurationSection: String, CaseIterable {
    case interface = "Interface"
    case peer = "Peer"
}

/// Every key of wg(8) and wg-quick(8), and four of ours for keys kept elsewhere.
enum ConfigurationKey: String, CaseIterable {
    case privateKey = "PrivateKey"
    case privateKeyFile = "PrivateKeyFile"
    case privateKeyCommand = "PrivateKeyCommand"
    case listenPort = "ListenPort"
    case firewallMark = "FwMark"
    case address = "Address"
    case dns = "DNS"
    case mtu = "MTU"
    case table = "Table"
    case preUp = "PreUp"
    case postUp = "PostUp"
    case preDown = "PreDown"
    case postDown = "PostDown"
    case saveConfig = "SaveConfig"
    case publicKey = "PublicKey"
    case presharedKey = "PresharedKey"
    case presharedKeyFile = "PresharedKeyFile"
    case presharedKeyCommand = "PresharedKeyCommand"
    case allowedIPs = "AllowedIPs"
    case endpoint = "Endpoint"
    case persistentKeepalive = "PersistentKeepalive"

    var section: ConfigurationSection {
        switch self {
        case .publicKey, .presharedKey, .presharedKeyFile, .presharedKeyCommand, .allowedIPs, .endpoint,
            .persistentKeepalive:
            .peer
        default: .interface
        }
    }

    /// Whether repeating it adds to what was said before.
    var accumulates: Bool {
        switch self {
        case .address, .dns, .preUp, .postUp, .preDown, .postDown, .allowedIPs: true
        default: false
        }
    }

    /// wg-quick(8) takes an empty value of its own keys for silence; wg(8) refuses one of its keys.
    var mayBeEmpty: Bool {
        switch self {
        case .address, .dns, .mtu, .table, .preUp, .postUp, .preDown, .postDown: true
        default: false
        }
    }

    private static let byLowercaseName = Dictionary(
        uniqueKeysWithValues: allCases.map { ($0.rawValue.lowercased(), $0) })

    /// Any case, as wg(8).
    init?(name: String) {
        guard let key = ConfigurationKey.byLowercaseName[name.lowercased()] else { return nil }
        self = key
    }

    /// The key that `name` is most likely a slip of the pen for.
    static func nearest(to name: String) -> ConfigurationKey? {
        let name = Array(name.lowercased().utf8.prefix(40))
        let ranked = allCases.map { key in (key, editDistance(name, Array(key.rawValue.lowercased().utf8))) }
        guard let best = ranked.min(by: { $0.1 < $1.1 }) else { return nil }
        return best.1 <= max(2, best.0.rawValue.utf8.count / 4) ? best.0 : nil
    }
}
