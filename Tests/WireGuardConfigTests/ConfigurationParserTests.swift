import IPAddressing
import Testing
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel

let privateKeyText = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
let publicKeyText = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
let otherKeyText = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
let presharedKeyText = "/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak="

/// A file with these lines added to its [Interface], or to its only [Peer].
func file(interface: String = "", peer: String = "") -> String {
    "[Interface]\nPrivateKey = \(privateKeyText)\n\(interface)\n[Peer]\nPublicKey = \(publicKeyText)\n\(peer)\n"
}

func parsed(_ text: String) throws -> TunnelConfiguration {
    try TunnelConfiguration.parse(text, file: "wg0.conf").configuration
}

@Suite struct ConfigurationParserTests {
    @Test func `P7: the example of wg-quick(8) for a client`() throws {
        let tunnel = try parsed(
            """
            [Interface]
            Address = 10.200.100.8/24
            DNS = 10.200.100.1
            PrivateKey = oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=

            [Peer]
            PublicKey = GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=
            PresharedKey = /UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=
            AllowedIPs = 0.0.0.0/0
            Endpoint = demo.wireguard.com:51820
            """)
        #expect(tunnel.addresses == [try #require(InterfaceAddress("10.200.100.8/24"))])
        #expect(tunnel.dnsServers == [try #require(IPAddress("10.200.100.1"))])
        #expect(
            tunnel.privateKey == .key(try #require(PrivateKey(base64: "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM="))))
        let peer = try #require(tunnel.peers.first)
        #expect(peer.publicKey.base64 == "GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=")
        #expect(peer.presharedKey == .key(try #require(PresharedKey(base64: presharedKeyText))))
        #expect(peer.allowedIPs == [AllowedIPEntry(.everythingIPv4)])
        #expect(peer.endpoint == .name(try #require(HostAndPort("demo.wireguard.com:51820"))))
        #expect(tunnel.holdsKeys)
    }

    @Test func `P7: every key, in any case, with comments and white space`() throws {
        let tunnel = try parsed(
            """
            # a comment
            [interFACE]   # another
              privatekey=\(privateKeyText)
            LISTENPORT = 51820
            fwmark = 0xff # comment
            Address = 10.0.0.2/24, fd00::2/64
            address = 172.20.0.1/32 peer 172.20.0.2/32, fe80::7/64 10.9.9.9
            DNS = 10.0.0.1, fd00::1 corp.example
            dns = example.org
            MTU = 1380
            Table = 1234
            PreUp = echo pre %i
            PostUp = echo one
            postup = echo two; echo a, b
            PreDown = echo down # not this
            PostDown = echo end
            SaveConfig = TRUE

            [peer]\r
            PUBLICKEY = \(publicKeyText)\r
            presharedkey = \(presharedKeyText)
            AllowedIPs = 10.0.0.0/8 , 192. 168.0.0/16,::/0
            allowedips = 10.1.1.1
            Endpoint = [2001:db8::1] : 51820
            PersistentKeepalive = off

            [Peer]
            PublicKey = \(otherKeyText)
            AllowedIPs = +10.3.0.0/16, -10.4.0.0/16
            PersistentKeepalive = 25
            """)
        #expect(tunnel.listenPort == 51820)
        #expect(tunnel.firewallMark == 255)
        #expect(
            tunnel.addresses.map(\.description) == [
                "10.0.0.2/24", "fd00::2/64", "172.20.0.1/32 peer 172.20.0.2/32", "fe80::7/64", "10.9.9.9/32",
            ])
        #expect(tunnel.dnsServers.map(\.description) == ["10.0.0.1", "fd00::1"])
        #expect(tunnel.dnsSearchDomains == ["corp.example", "example.org"])
        #expect(tunnel.mtu == 1380)
        #expect(tunnel.table == .number(1234))
        #expect(tunnel.hooks.preUp == ["echo pre %i"])
        #expect(tunnel.hooks.postUp == ["echo one", "echo two; echo a, b"])
        #expect(tunnel.hooks.preDown == ["echo down"])
        #expect(tunnel.hooks.postDown == ["echo end"])
        #expect(tunnel.hooks.expanded(interface: "wg7").preUp == ["echo pre wg7"])
        #expect(tunnel.saveConfig)
        #expect(tunnel.peers.count == 2)
        #expect(
            tunnel.peers[0].allowedIPs.map(\.description) == ["10.0.0.0/8", "192.168.0.0/16", "::/0", "10.1.1.1/32"])
        #expect(tunnel.peers[0].endpoint == .address(try #require(Endpoint("[2001:db8::1]:51820"))))
        #expect(tunnel.peers[0].persistentKeepaliveSeconds == 0)
        #expect(!tunnel.peers[0].isIncremental)
        #expect(tunnel.peers[1].allowedIPs.map(\.description) == ["+10.3.0.0/16", "-10.4.0.0/16"])
        #expect(tunnel.peers[1].isIncremental)
    }

    @Test(arguments: [
        ("%i", "wg7"), ("a %i b%i", "a wg7 bwg7"), ("%%i", "%wg7"), ("date +%s", "date +%s"), ("100%", "100%"),
        ("", ""),
    ])
    func `a hook's %i is the interface, every other sign stays`(command: String, expanded: String) {
        var hooks = Hooks()
        hooks.postUp = [command]
        #expect(hooks.expanded(interface: "wg7").postUp == [expanded])
    }

    @Test(arguments: [
        ("off", RoutingTable.off), ("Auto", .auto), ("0x10", .number(16)), ("4294967295", .number(.max)),
        ("vpn", .name("vpn")),
    ])
    func `P7: forms of Table`(text: String, table: RoutingTable) throws {
        #expect(try parsed(file(interface: "Table = \(text)")).table == table)
    }

    @Test func `P7: keys kept elsewhere`() throws {
        var tunnel = try parsed(
            """
            [Interface]
            PrivateKeyFile = keys/my key
            [Peer]
            PublicKey = \(publicKeyText)
            PresharedKeyCommand = pass show "psk"
            """)
        #expect(tunnel.privateKey == .file("keys/my key"))
        #expect(tunnel.peers[0].presharedKey == .command("pass show \"psk\""))
        #expect(!tunnel.holdsKeys)
        let references = tunnel.keyReferences
        #expect(references.map(\.use) == [.privateKey, .presharedKey(peer: 0)])
        for (reference, text) in zip(references, [" \(privateKeyText)\n", "\n"]) {
            let bytes = Array(text.utf8)
            try bytes.withUnsafeBytes { try tunnel.substitute(reference, text: $0) }
        }
        #expect(tunnel.privateKey == .key(try #require(PrivateKey(base64: privateKeyText))))
        #expect(tunnel.peers[0].presharedKey == nil)
        #expect(tunnel.keyReferences.isEmpty)
        let error = #expect(throws: ConfigurationErrors.self) {
            let bytes = Array(privateKeyText.utf8.dropLast(2))
            try bytes.withUnsafeBytes { try tunnel.substitute(references[0], text: $0) }
        }
        #expect(
            error?.description
                == "keys/my key:1:1: PrivateKey: the key has 42 characters; expected 44 characters of base64 that end in ="
        )
    }

    @Test func `A1, A5, A7: what is valid and odd is a warning with its place`() throws {
        let own = try #require(PrivateKey(base64: privateKeyText)).publicKey.base64
        let result = try TunnelConfiguration.parse(
            """
            [Interface]
            PrivateKey = \(privateKeyText)
            MTU = 1000
            MTU = 1200
            [Peer]
            PublicKey = \(own)
            [Peer]
            PublicKey = \(publicKeyText)
            AllowedIPs = 10.0.0.0/8, 10.192.124.1/24
            [Peer]
            PublicKey = \(otherKeyText)
            Endpoint = 2001:db8::1:51820
            AllowedIPs = 10.0.0.0/8
            """, file: "f")
        #expect(
            result.warnings.map(\.description) == [
                "f:3:7: MTU \"1000\": is below 1280, so IPv6 will not work",
                "f:4:1: MTU: was said in line 3 already; this one counts",
                "f:4:7: MTU \"1200\": is below 1280, so IPv6 will not work",
                "f:6:13: PublicKey: is this interface's own key; the peer is ignored",
                "f:9:26: AllowedIPs \"10.192.124.1/24\": has bits beyond its prefix length; 10.192.124.0/24 is used",
                "f:10:2: AllowedIPs \"10.0.0.0/8\": is claimed by the [Peer] of line 7 too; a network has one owner, this one",
                "f:12:12: Endpoint \"2001:db8::1:51820\": is read as [2001:db8::1]:51820, as wg does; write the brackets",
            ])
        #expect(result.configuration.mtu == 1200)
        let device = result.configuration.device { _ in nil }
        #expect(device.peers.map(\.publicKey.base64) == [publicKeyText, otherKeyText])
        #expect(device.peers.map { $0.allowedIPs.map(\.description) } == [["10.192.124.0/24"], ["10.0.0.0/8"]])
    }

    @Test func `A5: sections that come twice are warnings; at one place they stand in the order they were found`()
        throws
    {
        let own = try #require(PrivateKey(base64: privateKeyText)).publicKey.base64
        let peer = "[Peer]\nPublicKey = \(own)\n"
        let twice = try TunnelConfiguration.parse(
            "[Interface]\nPrivateKey = \(privateKeyText)\n\(peer)[Interface]\n\(peer)", file: "f")
        #expect(
            twice.warnings.map(\.description) == [
                "f:4:13: PublicKey: is this interface's own key; the peer is ignored",
                "f:5:2: [Interface]: begins a second time; both count as one",
                "f:7:13: PublicKey: is this interface's own key; the peer is ignored",
                "f:7:13: PublicKey: is the same as in the [Peer] of line 3; this one is set over it",
            ])
        let keyless = try TunnelConfiguration.parse("[Interface]\nMTU = 1400\n", file: "f")
        #expect(
            keyless.warnings.map(\.description) == [
                "f:1:1: [Interface]: has no PrivateKey, PrivateKeyFile or PrivateKeyCommand: "
                    + "without one no handshake can be made"
            ])
    }

    @Test func `A6: signed prefixes change what a live peer has`() throws {
        let tunnel = try parsed(file(peer: "AllowedIPs = +10.2.0.0/16, -10.1.0.0/16"))
        let live = DeviceConfiguration(peers: [
            PeerConfiguration(
                publicKey: tunnel.peers[0].publicKey,
                allowedIPs: ["10.1.0.0/16", "10.3.0.0/16"].compactMap { IPPrefix($0) })
        ])
        let device = tunnel.device(updating: live) { _ in nil }
        #expect(device.peers[0].allowedIPs.map(\.description) == ["10.3.0.0/16", "10.2.0.0/16"])
    }

    @Test func `P2: names are resolved by the caller, each once`() throws {
        let text = file(peer: "Endpoint = a.example:1") + "[Peer]\nPublicKey=\(otherKeyText)\nEndpoint = a.example:1\n"
        let tunnel = try parsed(text)
        #expect(tunnel.endpointNames.map(\.description) == ["a.example:1"])
        let device = tunnel.device { name in Endpoint("192.0.2.1:\(name.port)") }
        #expect(device.peers.map { $0.endpoint?.description } == ["192.0.2.1:1", "192.0.2.1:1"])
    }
}
