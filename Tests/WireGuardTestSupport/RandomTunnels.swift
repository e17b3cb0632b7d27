import IPAddressing
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel

// Random configurations that a file can say.

extension SeededGenerator {
    mutating func list<Element>(upTo count: Int, _ element: (inout SeededGenerator) -> Element) -> [Element] {
        (0..<below(count + 1)).map { _ in element(&self) }
    }

    mutating func word() -> String {
        String(decoding: (0..<(1 + below(12))).map { _ in UInt8(ascii: "a") + UInt8(below(26)) }, as: UTF8.self)
    }

    mutating func command() -> String {
        let words = [
            "iptables -A FORWARD -i %i -j ACCEPT", "ip rule add table 7", "echo 'a = b, [c]'", "true;  false",
            "é ü \"x\"",
        ]
        return words[below(words.count)] + " " + word()
    }

    public mutating func interfaceAddress() -> InterfaceAddress {
        let address = address()
        let length = UInt8(below(Int(address.bitWidth) + 1))
        let peer = oneIn(4) ? IPPrefix(masking: self.address(), length: 32) : nil
        return InterfaceAddress(address: address, length: length, peer: peer)
            ?? InterfaceAddress(address: address, length: length) ?? interfaceAddress()
    }

    mutating func unresolvedEndpoint() -> UnresolvedEndpoint {
        if oneIn(2) { return .address(endpoint()) }
        let text = oneIn(4) ? "[fe80::1%\(word())]:\(below(65536))" : "\(word()).example.org:\(below(65536))"
        return HostAndPort(text).map { .name($0) } ?? unresolvedEndpoint()
    }

    mutating func tunnelPeer() -> TunnelPeer {
        var peer = TunnelPeer(publicKey: publicKey(outOf: 50))
        switch below(5) {
        case 0: peer.presharedKey = .key(presharedKey())
        case 1: peer.presharedKey = .file("/etc/\(word())")
        case 2: peer.presharedKey = .command("pass \(word())")
        default: break
        }
        if oneIn(2) { peer.endpoint = unresolvedEndpoint() }
        if oneIn(2) { peer.persistentKeepaliveSeconds = UInt16(below(65536)) }
        peer.allowedIPs = list(upTo: 6) { generator in
            let signs: [AllowedIPEntry.Sign] = [.none, .none, .none, .add, .remove]
            return AllowedIPEntry(generator.prefix(), sign: signs[generator.below(5)])
        }
        return peer
    }

    public mutating func tunnel() -> TunnelConfiguration {
        var tunnel = TunnelConfiguration()
        switch below(5) {
        case 0: break
        case 1: tunnel.privateKey = .file("key of \(word())")
        case 2: tunnel.privateKey = .command("pass show \(word())")
        default: tunnel.privateKey = .key(privateKey())
        }
        if oneIn(2) { tunnel.listenPort = UInt16(below(65536)) }
        if oneIn(2) { tunnel.firewallMark = UInt32(truncatingIfNeeded: next()) }
        tunnel.addresses = list(upTo: 3) { $0.interfaceAddress() }
        tunnel.dnsServers = list(upTo: 2) { $0.address() }
        tunnel.dnsSearchDomains = list(upTo: 2) { "\($0.word()).\($0.word())" }
        if oneIn(2) { tunnel.mtu = UInt16(68 + below(65_468)) }
        switch below(6) {
        case 0: tunnel.table = .off
        case 1: tunnel.table = .auto
        case 2: tunnel.table = .number(UInt32(1 + below(1 << 31)))
        case 3: tunnel.table = .name("t" + word())
        default: break
        }
        tunnel.hooks.preUp = list(upTo: 2) { $0.command() }
        tunnel.hooks.postUp = list(upTo: 2) { $0.command() }
        tunnel.hooks.preDown = list(upTo: 2) { $0.command() }
        tunnel.hooks.postDown = list(upTo: 2) { $0.command() }
        tunnel.saveConfig = oneIn(3)
        tunnel.peers = list(upTo: 4) { $0.tunnelPeer() }
        return tunnel
    }
}
