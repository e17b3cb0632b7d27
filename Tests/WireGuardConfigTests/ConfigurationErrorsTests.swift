import Testing
import WireGuardConfig

func errors(_ text: String) -> [String] {
    do throws(ConfigurationErrors) {
        _ = try TunnelConfiguration.parse(text, file: "wg0.conf")
        return []
    } catch {
        return error.description.split(separator: "\n").map(String.init)
    }
}

@Suite struct ConfigurationErrorsTests {
    @Test func `P6: every error of a file, each with its place, in order`() {
        let text = """
            stray
            Address = 10.0.0.1/24
            [Interface]
            PrivatKey = x
            Address = 10.0.0.300/24, 10.0.0.2/24,  nonsense
            ListenPort = 70000
            SaveConfig = yes
            AllowedIPs = ::/0
            [Peers]
            PublicKey = ignored
            [Peer]
            Endpoint = host
            AllowedIPs = 10.0.0.0/8,, é/1
            ; old comment
            PersistentKeepalive =
            """
        #expect(
            errors(text) == [
                "wg0.conf:1:1: line \"stray\": expected [Interface], [Peer] or KEY = VALUE",
                "wg0.conf:2:1: Address: expected [Interface] before it",
                "wg0.conf:4:1: key \"PrivatKey\": is unknown; did you mean PrivateKey?",
                "wg0.conf:5:11: Address \"10.0.0.300/24\": expected an address such as 10.0.0.2/24, fd00::2/64 or 10.0.0.1/32 peer 10.0.0.2/32",
                "wg0.conf:5:40: Address \"nonsense\": expected an address such as 10.0.0.2/24, fd00::2/64 or 10.0.0.1/32 peer 10.0.0.2/32",
                "wg0.conf:6:14: ListenPort \"70000\": expected a port from 0 to 65535",
                "wg0.conf:7:14: SaveConfig \"yes\": expected true or false",
                "wg0.conf:8:1: AllowedIPs: belongs into [Peer], and this is [Interface]",
                "wg0.conf:9:2: section \"Peers\": expected [Interface] or [Peer]",
                "wg0.conf:11:2: [Peer]: expected PublicKey = … in it",
                "wg0.conf:12:12: Endpoint \"host\": expected HOST:PORT such as vpn.example.org:51820, 192.0.2.1:51820 or [2001:db8::1]:51820",
                "wg0.conf:13:25: AllowedIPs \"\": expected networks such as 10.0.0.0/8, ::/0, separated by commas",
                "wg0.conf:13:27: AllowedIPs \"é/1\": expected networks such as 10.0.0.0/8, ::/0, separated by commas",
                "wg0.conf:14:1: line \"; old comment\": comments begin with #",
                "wg0.conf:15:1: PersistentKeepalive: expected a value after =",
            ])
    }

    @Test(arguments: [
        ("Adress", "Address"), ("PublickKey", "PublicKey"), ("PrivteKey", "PrivateKey"), ("AllowedIP", "AllowedIPs"),
        ("EndPiont", "Endpoint"), ("Keepalive", nil), ("PersistantKeepalive", "PersistentKeepalive"), ("MUT", "MTU"),
        ("PreSharedKye", "PresharedKey"), ("Frobnicate", nil), ("PosUp", "PostUp"),
    ])
    func `P6: an unknown key is answered with the one that was meant`(name: String, meant: String?) {
        let message = errors("[Interface]\n\(name) = 1\n").first ?? ""
        #expect(message.contains("did you mean") == (meant != nil), "\(message)")
        if let meant { #expect(message.hasSuffix("did you mean \(meant)?"), "\(message)") }
        if meant == nil { #expect(message.contains("is unknown; expected one of "), "\(message)") }
    }

    @Test func `P6: what was written is shown on one line, and cut behind sixty characters`() {
        let longest = String(repeating: "é", count: 60)
        #expect(errors("[Interface]\nMTU = \(longest)\n").first?.contains("\"\(longest)\"") == true)
        #expect(errors("[Interface]\nMTU = \(longest)é\n").first?.contains("\"\(longest)…\"") == true)
        let strange = errors("[Interface]\nMTU = a\"\u{1b}\u{85}b\n").first ?? ""
        #expect(strange.contains(#""a\"\u{1b}\u{85}b""#), "\(strange)")
    }

    /// Wrong keys, and keys in wrong places: no message may hold eight characters in a row of one.
    @Test func `P3: no message shows a key`() {
        let key = privateKeyText
        let texts = [
            file(interface: "PrivateKey = \(key.dropLast())"), file(interface: "PrivateKey = \(key)="),
            file(interface: "PrivateKey = \(key.dropLast(5))!abc="), file(interface: "PrivateKy = \(key)"),
            file(interface: "\(key)"), file(interface: "PrivateKey =\n\(key)"), file(interface: "PrivateKey \(key)"),
            file(interface: "Address = \(key)"), file(interface: "DNS = \(key), \(key)"),
            file(interface: "MTU = \(key)"),
            file(interface: "Table = \(key)"), file(interface: "FwMark = \(key)"),
            file(interface: "SaveConfig = \(key)"),
            file(interface: "[\(key)]"), file(interface: "PrivateKey = \"\(key)\""),
            file(interface: "ListenPort = \(key)"),
            file(interface: "\(key.prefix(20)) = \(key.dropFirst(20))"),
            file(interface: "\(key.prefix(10))\n\(key.suffix(15))"),
            file(peer: "PresharedKey = \(key.dropLast(2))"), file(peer: "PresharedKey = \(key.dropLast(2))x="),
            file(peer: "Endpoint = \(key)"), file(peer: "Endpoint = \(key):51820"), file(peer: "AllowedIPs = \(key)"),
            file(peer: "PersistentKeepalive = \(key)"), file(peer: "PublicKey = \(key.dropFirst())"), key,
            file(interface: "Address = 10.0.0.1/24 \(key)"), file(peer: "AllowedIPs = 10.0.0.0/8,\(key)"),
        ]
        let digits = Array(key.utf8)
        let fragments = Set((0...(digits.count - 8)).map { String(decoding: digits[$0..<($0 + 8)], as: UTF8.self) })
        for text in texts {
            let messages = errors(text)
            #expect(!messages.isEmpty)
            for message in messages {
                let bytes = Array(message.utf8)
                let runs =
                    bytes.count < 8
                    ? [] : (0...(bytes.count - 8)).map { String(decoding: bytes[$0..<($0 + 8)], as: UTF8.self) }
                #expect(fragments.isDisjoint(with: runs), "\(message)")
            }
        }
    }

    @Test func `P6: what is wrong with a key is said`() {
        func message(_ key: String) -> String? { errors(file(interface: "PrivateKey = \(key)")).first }
        let expected = "expected 44 characters of base64 that end in ="
        #expect(message("abc") == "wg0.conf:3:14: PrivateKey: the key has 3 characters; \(expected)")
        #expect(message("a-c") == "wg0.conf:3:14: PrivateKey: character 2 of the key is not base64; \(expected)")
        #expect(
            message(privateKeyText.dropLast() + "A")
                == "wg0.conf:3:14: PrivateKey: the key does not end in one =; \(expected)")
        #expect(
            message(privateKeyText.dropLast(2) + "l=")
                == "wg0.conf:3:14: PrivateKey: the key is not the base64 of 32 bytes; it may have been mistyped or cut")
    }

    @Test func `P6: a file with a million errors keeps a hundred and counts the rest`() {
        let lines = errors("[Interface]\n" + String(repeating: "x\n", count: 50_000))
        #expect(lines.count == 101)
        #expect(lines.last == "and 49900 more errors")
    }

    @Test func `P6: an empty file lacks an interface, and a key that is all zeros is none`() throws {
        #expect(errors("") == ["wg0.conf:1:1: file: expected an [Interface] section"])
        let zeros = String(repeating: "A", count: 43) + "="
        let result = try TunnelConfiguration.parse("[Interface]\nPrivateKey = \(zeros)\n", file: "f")
        #expect(result.configuration.privateKey == nil)
        #expect(result.warnings.count == 2)
    }

    @Test func `P3: a file with a key that everybody may read is worth a warning`() {
        #expect(
            ConfigurationFileMode.warning(file: "f", mode: 0o644, holdsKeys: true)
                == "f holds a key and is accessible to everybody: chmod 600 f")
        #expect(ConfigurationFileMode.warning(file: "f", mode: 0o644, holdsKeys: false) == nil)
        #expect(ConfigurationFileMode.warning(file: "f", mode: 0o640, holdsKeys: true) == nil)
    }
}
