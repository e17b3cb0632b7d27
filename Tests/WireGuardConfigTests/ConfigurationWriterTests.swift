import IPAddressing
import Testing
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

func string(_ tunnel: TunnelConfiguration, _ form: ConfigurationForm = .wgQuick) -> String {
    tunnel.text(form).withBytes { String(decoding: $0, as: UTF8.self) }
}

@Suite struct ConfigurationWriterTests {
    @Test func `P7: parse, write, parse is the identity`() throws {
        for seed in 0..<500 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let tunnel = generator.tunnel()
            let text = string(tunnel)
            let again = try parsed(text)
            #expect(again == tunnel, "seed \(seed)")
            #expect(string(again) == text, "seed \(seed)")
        }
    }

    @Test func `P7: the form for wg setconf has nothing of wg-quick's`() throws {
        let tunnel = try parsed(
            file(
                interface: "Address=10.0.0.1/24\nDNS=1.1.1.1\nTable=off\nPostUp=x\nListenPort=7\nFwMark=7",
                peer: "AllowedIPs=::/0"))
        #expect(
            string(tunnel, .wg) == """
                [Interface]
                ListenPort = 7
                FwMark = 0x7
                PrivateKey = \(privateKeyText)

                [Peer]
                PublicKey = \(publicKeyText)
                AllowedIPs = ::/0

                """)
    }

    @Test func `P7: saving keeps what is wg-quick's, and takes the rest from the device`() throws {
        let tunnel = try parsed(
            """
            [Interface]
            PrivateKeyFile = key
            Address = 10.0.0.1/24
            DNS = 1.1.1.1, corp.example
            MTU = 1400
            Table = off
            SaveConfig = true
            PostUp = echo %i
            [Peer]
            PublicKey = \(publicKeyText)
            Endpoint = gone.example:1
            AllowedIPs = 10.0.0.0/8
            """)
        let live = DeviceConfiguration(
            privateKey: .generate(), listenPort: 4242, firewallMark: 0,
            peers: [
                PeerConfiguration(
                    publicKey: try #require(PublicKey(base64: otherKeyText)), endpoint: Endpoint("192.0.2.1:5"),
                    persistentKeepaliveSeconds: 25, allowedIPs: [.everythingIPv6])
            ])
        #expect(
            string(tunnel.saving(live)) == """
                [Interface]
                Address = 10.0.0.1/24
                DNS = 1.1.1.1
                DNS = corp.example
                MTU = 1400
                Table = off
                SaveConfig = true
                PostUp = echo %i
                ListenPort = 4242
                PrivateKeyFile = key

                [Peer]
                PublicKey = \(otherKeyText)
                AllowedIPs = ::/0
                Endpoint = 192.0.2.1:5
                PersistentKeepalive = 25

                """)
    }

    @Test func `P5: a command cannot smuggle in a line`() throws {
        var tunnel = TunnelConfiguration()
        tunnel.hooks.postUp = ["true\n[Peer]\nPublicKey = x", "a # b"]
        #expect(string(tunnel) == "[Interface]\nPostUp = true\nPostUp = a \n")
    }
}
