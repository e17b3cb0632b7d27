import IPAddressing
import WireGuardCrypto
import WireGuardModel

// The values of a [Peer] section.

extension ConfigurationParser {
    mutating func setPeer(_ key: ConfigurationKey, _ value: Piece) {
        guard let last = peers.indices.last else { return }
        let name = key.rawValue
        switch key {
        case .publicKey:
            peers[last].saysPublicKey = true
            guard let secret = secret(value, name) else { return }
            peers[last].peer.publicKey = secret.withBytes { PublicKey(copying: $0) }
            peers[last].publicKeyPlace = (lineNumber, value.column)
        case .presharedKey:
            guard let secret = secret(value, name) else { return }
            peers[last].peer.presharedKey = PresharedKey(secret: secret).map { .key($0) }
        case .presharedKeyFile: peers[last].peer.presharedKey = text(value, name).map { .file($0) }
        case .presharedKeyCommand: peers[last].peer.presharedKey = text(value, name).map { .command($0) }
        case .allowedIPs: for item in value.items { addAllowedIP(item, to: last) }
        case .endpoint:
            if let endpoint = endpoint(value) { peers[last].peer.endpoint = endpoint }
        case .persistentKeepalive:
            if value.stringWithoutSpaces.lowercased() == "off" {
                peers[last].peer.persistentKeepaliveSeconds = 0
            } else if let seconds: UInt16 = number(value, name, "off, or seconds from 0 to 65535") {
                peers[last].peer.persistentKeepaliveSeconds = seconds
            }
        case .privateKey, .privateKeyFile, .privateKeyCommand, .listenPort, .firewallMark, .address, .dns, .mtu,
            .table, .preUp, .postUp, .preDown, .postDown, .saveConfig:
            break
        }
    }

    private mutating func addAllowedIP(_ item: Piece, to index: Int) {
        var rest = item
        var sign = AllowedIPEntry.Sign.none
        switch item.bytes.first {
        case UInt8(ascii: "+"): sign = .add
        case UInt8(ascii: "-"): sign = .remove
        default: break
        }
        if sign != .none { rest = item.piece((item.range.lowerBound + 1)..<item.range.upperBound) }
        let parsed =
            rest.containsSpace
            ? InterfaceAddress.parse(rest.stringWithoutSpaces) : InterfaceAddress.parse(ascii: rest.bytes)
        guard let parsed, let prefix = IPPrefix(masking: parsed.address, length: parsed.length) else {
            return fail(item, "AllowedIPs", "expected networks such as 10.0.0.0/8, ::/0, separated by commas")
        }
        if prefix.address != parsed.address {
            let name = "\(parsed.address)/\(parsed.length)"
            warn(column: item.column, "AllowedIPs", name, "has bits beyond its prefix length; \(prefix) is used")
        }
        peers[index].peer.allowedIPs.append(AllowedIPEntry(prefix, sign: sign))
    }

    private mutating func endpoint(_ value: Piece) -> UnresolvedEndpoint? {
        let expected = "expected HOST:PORT such as vpn.example.org:51820, 192.0.2.1:51820 or [2001:db8::1]:51820"
        let word = value.stringWithoutSpaces
        if let endpoint = Endpoint(word) { return .address(endpoint) }
        if let bare = endpointWithoutBrackets(word) {
            let better = "is read as \(bare), as wg does; write the brackets"
            warn(column: value.column, "Endpoint", word, better)
            return .address(bare)
        }
        guard let parts = HostAndPort(word) else {
            fail(value, "Endpoint", expected)
            return nil
        }
        let portIsName = parts.numericPort == nil && !parts.port.utf8.contains(where: { (0x30...0x39).contains($0) })
        guard parts.numericPort != nil || portIsName && isHostName(parts.port) else {
            fail(value, "Endpoint", "expected a port from 0 to 65535 after the last colon")
            return nil
        }
        if parts.isBracketed {
            // A link-local address whose scope is an interface's name in the birth namespace.
            let halves = parts.host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
            guard let address = halves.first, IPv6Address(address) != nil, halves.last?.isEmpty == false else {
                fail(value, "Endpoint", expected)
                return nil
            }
            return .name(parts)
        }
        // Digits and dots that are no address are an address with a slip, not a name.
        let isNumeric = parts.host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        guard !isNumeric || IPv4Address(parts.host) != nil, isHostName(parts.host) else {
            fail(value, "Endpoint", expected)
            return nil
        }
        return .name(parts)
    }

    /// `2001:db8::1:51820`, which wg(8) divides at the last colon.
    private func endpointWithoutBrackets(_ word: String) -> Endpoint? {
        guard let colon = word.lastIndex(of: ":"), let address = IPv6Address(word[..<colon]) else { return nil }
        let port: UInt16? = decimal(String(word[word.index(after: colon)...]))
        return port.map { Endpoint(address: .v6(address), port: $0) }
    }
}
