import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@Suite struct WgShowTests {
    static let amounts: [(UInt64, String)] = [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1239, "1.21 KiB"), (1_048_575, "1024.00 KiB"),
        (1_048_576, "1.00 MiB"), (5_368_709_120, "5.00 GiB"), (3_298_534_883_328, "3.00 TiB"),
        (UInt64.max, "16777216.00 TiB"),
        (1152, "1.12 KiB"), (1408, "1.38 KiB"),
    ]

    @Test(arguments: amounts)
    func `amounts read as in wg`(count: UInt64, text: String) {
        #expect(WgShow.bytes(count) == text)
    }

    static let ages: [(Int64, String)] = [
        (0, "Now"), (1, "1 second ago"), (61, "1 minute, 1 second ago"), (7200, "2 hours ago"),
        (31_622_402, "1 year, 1 day, 2 seconds ago"),
        (-1, "(System clock wound backward; connection problems may ensue.)"),
    ]

    @Test(arguments: ages)
    func `times read as in wg`(age: Int64, text: String) {
        let now = WallTime(seconds: 1_800_000_000, nanoseconds: 0)
        #expect(WgShow.ago(WallTime(seconds: now.seconds - age, nanoseconds: 9), now: now) == text)
        #expect(WgShow.ago(WallTime(seconds: .min, nanoseconds: 0), now: WallTime(seconds: .max, nanoseconds: 0)) != "")
    }

    @Test func `P3: keys are hidden unless asked for`() {
        var generator = SeededGenerator(seed: 1)
        let device = DeviceConfiguration(
            privateKey: generator.privateKey(),
            peers: [PeerConfiguration(publicKey: numberedKey(1), presharedKey: generator.presharedKey())])
        var text = SecretText()
        text.append(wgShow: DeviceStatus(configuration: device), interface: "wg0", notes: [("socket", "host")])
        #expect(
            text.withBytes { String(decoding: $0, as: UTF8.self) } == """
                interface: wg0
                  public key: \(device.privateKey?.publicKey.base64 ?? "")
                  private key: (hidden)
                  socket: host

                peer: \(numberedKey(1))
                  preshared key: (hidden)
                  allowed ips: (none)

                """)
    }

    static let choices: [(String?, String?, Bool, Bool)] = [
        (nil, nil, true, true), (nil, nil, false, false), ("always", "1", false, true), ("never", nil, true, false),
        (nil, "1", true, false), (nil, "", true, true), ("auto", nil, false, false),
    ]

    @Test(arguments: choices)
    func `WG_COLOR_MODE goes before NO_COLOR, and that before the terminal`(
        mode: String?, none: String?, isTerminal: Bool, isColoured: Bool
    ) {
        #expect(
            TerminalStyle.chosen(colourMode: mode, noColour: none, isTerminal: isTerminal).isColoured == isColoured)
    }

    @Test func `units are coloured as in wg`() {
        #expect(WgShow.bytes(1239, .coloured) == "1.21 \u{1b}[36mKiB\u{1b}[0m")
        #expect(WgShow.duration(61, .coloured) == "1 \u{1b}[36mminute\u{1b}[0m, 1 \u{1b}[36msecond\u{1b}[0m")
    }

    @Test func `a device with everything reads as in wg, the latest handshake first`() throws {
        let endpoint = try #require(Endpoint("192.0.2.1:51820"))
        let prefixes = [try #require(IPPrefix("10.0.0.0/8")), try #require(IPPrefix("fd00::/64"))]
        let now = WallTime(seconds: 1_800_000_000, nanoseconds: 0)
        var generator = SeededGenerator(seed: 1)
        let privateKey = generator.privateKey()
        let peers = [
            PeerConfiguration(publicKey: numberedKey(1)),
            PeerConfiguration(publicKey: numberedKey(2)),
            PeerConfiguration(
                publicKey: numberedKey(3), endpoint: endpoint, persistentKeepaliveSeconds: 25, allowedIPs: prefixes),
        ]
        let status = DeviceStatus(
            configuration: DeviceConfiguration(
                privateKey: privateKey, listenPort: 51820, firewallMark: 0xca6c, peers: peers),
            peers: [
                numberedKey(2): PeerStatus(
                    lastHandshake: WallTime(seconds: now.seconds - 90, nanoseconds: 0), receivedBytes: 0, sentBytes: 148
                ),
                numberedKey(3): PeerStatus(
                    lastHandshake: WallTime(seconds: now.seconds - 5, nanoseconds: 0), receivedBytes: 1239,
                    sentBytes: 1152),
            ])
        var text = SecretText()
        text.append(wgShow: status, interface: "wg0", now: now, showsKeys: true)
        #expect(
            text.withBytes { String(decoding: $0, as: UTF8.self) } == """
                interface: wg0
                  public key: \(privateKey.publicKey)
                  private key: \(base64(privateKey))
                  listening port: 51820
                  fwmark: 0xca6c

                peer: \(numberedKey(3))
                  endpoint: 192.0.2.1:51820
                  allowed ips: 10.0.0.0/8, fd00::/64
                  latest handshake: 5 seconds ago
                  transfer: 1.21 KiB received, 1.12 KiB sent
                  persistent keepalive: every 25 seconds

                peer: \(numberedKey(2))
                  allowed ips: (none)
                  latest handshake: 1 minute, 30 seconds ago
                  transfer: 0 B received, 148 B sent

                peer: \(numberedKey(1))
                  allowed ips: (none)

                """)
    }

    private func base64(_ key: PrivateKey) -> String {
        var text = SecretText()
        text.append(base64Of: key.secret)
        return text.withBytes { String(decoding: $0, as: UTF8.self) }
    }
}
