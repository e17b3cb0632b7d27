import IPAddressing
import WireGuardCrypto
import WireGuardModel

// Configurations as text, into a buffer that is wiped. The order is that of `wg-quick save`: what wg-quick(8)
// knows, then what `wg showconf` writes.

/// Who reads the text.
public enum ConfigurationForm: Sendable {
    /// wg-quick(8) and ourselves: everything.
    case wgQuick
    /// `wg setconf`: what `wg-quick strip` leaves. Keys that are kept elsewhere are left out.
    case wg
}

extension TunnelConfiguration {
    /// The whole text. Reading it gives this configuration again, but for commands with a line break or `#` in
    /// them, which no file can hold: they are cut there.
    public func text(_ form: ConfigurationForm = .wgQuick) -> SecretText {
        var text = SecretText()
        text.append(self, form)
        return text
    }
}

extension SecretText {
    public mutating func append(_ tunnel: TunnelConfiguration, _ form: ConfigurationForm) {
        append("[Interface]\n")
        if form == .wgQuick { append(wgQuickKeysOf: tunnel) }
        if let port = tunnel.listenPort { append(.listenPort, decimal: port) }
        if let mark = tunnel.firewallMark { append(.firewallMark, "0x" + String(mark, radix: 16)) }
        append(tunnel.privateKey, .privateKey, .privateKeyFile, .privateKeyCommand, form) { $0.secret }
        for peer in tunnel.peers {
            append("\n[Peer]\n")
            append(.publicKey) { $0.append(base64Of: peer.publicKey) }
            append(peer.presharedKey, .presharedKey, .presharedKeyFile, .presharedKeyCommand, form) { $0.secret }
            append(allowedIPs: peer.allowedIPs)
            if let endpoint = peer.endpoint { append(.endpoint, endpoint.description) }
            if let seconds = peer.persistentKeepaliveSeconds { append(.persistentKeepalive, decimal: seconds) }
        }
    }

    private mutating func append(wgQuickKeysOf tunnel: TunnelConfiguration) {
        for address in tunnel.addresses { append(.address, address.description) }
        for server in tunnel.dnsServers { append(.dns, server.description) }
        for domain in tunnel.dnsSearchDomains { append(.dns, domain) }
        if let mtu = tunnel.mtu { append(.mtu, decimal: mtu) }
        if let table = tunnel.table { append(.table, table.description) }
        if tunnel.saveConfig { append(.saveConfig, "true") }
        for command in tunnel.hooks.preUp { append(.preUp, command) }
        for command in tunnel.hooks.postUp { append(.postUp, command) }
        for command in tunnel.hooks.preDown { append(.preDown, command) }
        for command in tunnel.hooks.postDown { append(.postDown, command) }
    }

    private mutating func append(allowedIPs: [AllowedIPEntry]) {
        guard !allowedIPs.isEmpty else { return }
        append(.allowedIPs) { text in
            for (index, entry) in allowedIPs.enumerated() {
                if index > 0 { text.append(", ") }
                if entry.sign != .none { text.append(entry.sign.rawValue) }
                entry.prefix.address.withASCII { text.append($0) }
                text.append("/")
                text.append(decimal: entry.prefix.length)
            }
        }
    }

    private mutating func append<Key>(
        _ source: KeySource<Key>?, _ plain: ConfigurationKey, _ file: ConfigurationKey, _ command: ConfigurationKey,
        _ form: ConfigurationForm, _ secret: (Key) -> SecretBytes
    ) {
        switch source {
        case .key(let key): append(plain) { $0.append(base64Of: secret(key)) }
        case .file(let path) where form == .wgQuick: append(file, path)
        case .command(let text) where form == .wgQuick: append(command, text)
        case .file, .command, nil: break
        }
    }

    private mutating func append(_ key: ConfigurationKey, _ body: (inout SecretText) -> Void) {
        append(key.rawValue)
        append(" = ")
        body(&self)
        append("\n")
    }

    private mutating func append(_ key: ConfigurationKey, decimal number: UInt16) {
        append(key) { $0.append(decimal: number) }
    }

    /// Up to what would end the value: a foreign line must not come out of one.
    private mutating func append(_ key: ConfigurationKey, _ value: String) {
        let end = value.utf8.firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "#") }
        append(key) { $0.append(value[..<(end ?? value.endIndex)]) }
    }
}
