import IPAddressing
import LinuxSystem
import Testing
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport
import WireGuardUAPI

/// One line in an otherwise good file.
struct Line: Sendable {
    let section: String
    let text: String
    /// Where we mean to differ from the tools: why.
    let difference: String?

    init(_ section: String, _ text: String, _ difference: String? = nil) {
        self.section = section
        self.text = text
        self.difference = difference
    }

    var file: String {
        switch section {
        case "Interface": WireGuardConfigTests.file(interface: text)
        case "Peer": WireGuardConfigTests.file(peer: text)
        default: "\(text)\n\(WireGuardConfigTests.file())"
        }
    }

    static let good: [Line] = [
        Line("Interface", ""), Line("Interface", "   "), Line("Interface", "# nothing"),
        Line("Interface", "   # nothing"),
        Line("Interface", "ListenPort=0"), Line("Interface", "listenport = 65535"),
        Line("Interface", "LISTENPORT\t=\t1"),
        Line("Interface", "ListenPort = 5 1 8 2 0"), Line("Interface", "Listen Port = 1"),
        Line("Interface", "ListenPort = 007"),
        Line("Interface", "ListenPort = 1 # one"), Line("Interface", "ListenPort = 1\r"),
        Line("Interface", "[ Interface ]"),
        Line("Interface", "[interface]"), Line("Interface", "FwMark = off"), Line("Interface", "FwMark = OFF"),
        Line("Interface", "FwMark = 0"), Line("Interface", "FwMark = 0xffffffff"),
        Line("Interface", "FwMark = 4294967295"),
        Line("Interface", "FwMark = 0xAb"), Line("Interface", "PrivateKey = \(presharedKeyText)"),
        Line("Interface", "PrivateKey = \(presharedKeyText.prefix(20)) \(presharedKeyText.dropFirst(20))"),
        Line("Interface", "Address = 10.0.0.1/24"), Line("Interface", "address=10.0.0.1, fd00::1/64"),
        Line("Interface", "Address ="), Line("Interface", "Address = 10.0.0.1/24 10.0.0.2/24"),
        Line("Interface", "Address = 10.0.0.1/24,"), Line("Interface", "DNS = 1.1.1.1, fd00::1, example.org"),
        Line("Interface", "DNS ="), Line("Interface", "MTU = 1420"), Line("Interface", "Table = off"),
        Line("Interface", "Table = 51820"), Line("Interface", "Table = main"), Line("Interface", "SaveConfig = true"),
        Line("Interface", "saveconfig=FALSE"), Line("Interface", "PostUp = echo a=b; [x] \"y\""),
        Line("Interface", "PreDown ="),
        Line("Peer", "AllowedIPs = 0.0.0.0/0, ::/0"), Line("Peer", "AllowedIPs=10.0.0.1"),
        Line("Peer", "AllowedIPs = 10.0.0.1/8"),
        Line("Peer", "AllowedIPs = 10.0.0.0 / 8 ,\t::1"), Line("Peer", "AllowedIPs = ::ffff:1.2.3.4/128"),
        Line("Peer", "AllowedIPs = 1:2:3:4:5:6:7::/128"), Line("Peer", "AllowedIPs = 10.0.0.0/08"),
        Line("Peer", "Endpoint = 192.0.2.1:51820"), Line("Peer", "Endpoint = [2001:db8::1]:51820"),
        Line("Peer", "Endpoint = 2001:db8::1:51820"), Line("Peer", "Endpoint = [ ::1 ] : 7"),
        Line("Peer", "Endpoint=[fe80::1%lo]:7"),
        Line("Peer", "Endpoint = 192.0.2.1:0"), Line("Peer", "Endpoint = 192.0.2.1:ntp"),
        Line("Peer", "PersistentKeepalive = off"),
        Line("Peer", "PersistentKeepalive = 0"), Line("Peer", "PersistentKeepalive = 65535"),
        Line("Peer", "persistentkeepalive=Off"), Line("Peer", "PresharedKey = \(presharedKeyText)"),
        Line("Peer", "[Peer]\nPublicKey = \(otherKeyText)"),
        Line("Peer", "PublicKey = \(otherKeyText)"), Line("Peer", "[PEER]\npublickey=\(publicKeyText)"),
        Line("Peer", "PresharedKey = \(String(repeating: "A", count: 43))="),
    ]

    static let bad: [Line] = [
        Line("Interface", "nonsense"), Line("Interface", "Nonsense = 1"), Line("Interface", "ListenPort"),
        Line("Interface", "ListenPort ="),
        Line("Interface", "ListenPort = x1"), Line("Interface", "ListenPort = 1,2"), Line("Interface", "FwMark ="),
        Line("Interface", "FwMark = on"), Line("Interface", "FwMark = 4294967296"),
        Line("Interface", "FwMark = 0x100000000"),
        Line("Interface", "FwMark = 0x"), Line("Interface", "FwMark = -1"), Line("Interface", "FwMark = +1"),
        Line("Interface", "FwMark = ff"),
        Line("Interface", "FwMark = 0xg"), Line("Interface", "FwMark = 1x"), Line("Interface", "PrivateKey ="),
        Line("Interface", "PrivateKey = abc"),
        Line("Interface", "PrivateKey = \(privateKeyText)="),
        Line("Interface", "PrivateKey = \(privateKeyText.dropLast())"),
        Line("Interface", "PrivateKey = \(privateKeyText.dropLast(2))l="),
        Line("Interface", "PrivateKey = \"\(privateKeyText)\""),
        Line("Interface", "PrivateKey = \(privateKeyText.dropLast(5))-Bmk="), Line("Interface", "[Interfaces]"),
        Line("Interface", "[Interface"),
        Line("Interface", "; comment"), Line("Interface", "// comment"), Line("Interface", "SaveConfig = yes"),
        Line("Interface", "SaveConfig ="),
        Line("Interface", "SaveConfig = 1"), Line("Interface", "PublicKey = \(publicKeyText)"),
        Line("Interface", "AllowedIPs = ::/0"),
        Line("Interface", "Endpoint = 192.0.2.1:1"), Line("Peer", "Address = 10.0.0.1/24"),
        Line("Peer", "ListenPort = 1"), Line("Peer", "MTU = 1420"),
        Line("Peer", "PrivateKey = \(privateKeyText)"), Line("Peer", "AllowedIPs ="), Line("Peer", "AllowedIPs = ,"),
        Line("Peer", "AllowedIPs = 10.0.0.0/8,"), Line("Peer", "AllowedIPs = ,10.0.0.0/8"),
        Line("Peer", "AllowedIPs = 10.0.0.0/33"),
        Line("Peer", "AllowedIPs = ::/129"), Line("Peer", "AllowedIPs = 10.0.0/8"),
        Line("Peer", "AllowedIPs = 10.0.0.0/"),
        Line("Peer", "AllowedIPs = 10.0.0.0/x"), Line("Peer", "AllowedIPs = 10.0.0.0/-1"),
        Line("Peer", "AllowedIPs = 010.0.0.0/8"),
        Line("Peer", "AllowedIPs = 10.0.0.0/8 10.1.0.0/16"), Line("Peer", "AllowedIPs = /8"),
        Line("Peer", "AllowedIPs = 10.0.0.256"),
        Line("Peer", "AllowedIPs = :::"), Line("Peer", "AllowedIPs = ::1::"), Line("Peer", "AllowedIPs = example.org"),
        Line("Peer", "Endpoint ="), Line("Peer", "Endpoint = 192.0.2.1"), Line("Peer", "Endpoint = 192.0.2.1:"),
        Line("Peer", "Endpoint = [2001:db8::1]"), Line("Peer", "Endpoint = [2001:db8::1:5"),
        Line("Peer", "Endpoint = [2001:db8::1]5"),
        Line("Peer", "PersistentKeepalive ="),
        Line("Peer", "PersistentKeepalive = on"), Line("Peer", "PersistentKeepalive = 65536"),
        Line("Peer", "PersistentKeepalive = -1"),
        Line("Peer", "PersistentKeepalive = 25s"), Line("Peer", "PresharedKey ="), Line("Peer", "PresharedKey = abc"),
        Line("Peer", "PublicKey ="),
        Line("Peer", "PublicKey = abc"), Line("Peer", "[Peer]"), Line("Peer", "[Peers]\nPublicKey = \(otherKeyText)"),
        Line("Peer", "stray"),
        Line("Before", "stray"), Line("Before", "ListenPort = 1"), Line("Before", "AllowedIPs = ::/0"),
    ]

    static let different: [Line] = [
        Line("Interface", "ListenPort = 65536", "wg lets getaddrinfo wrap the number"),
        Line("Interface", "ListenPort = ntp", "wg takes a service's name; we take numbers only"),
        Line("Interface", "Address = 10.0.0.300/24", "wg-quick leaves addresses to ip(8)"),
        Line("Interface", "DNS = 1.1.1", "wg-quick does not look at addresses"),
        Line("Interface", "MTU = big", "wg-quick leaves it to ip(8)"),
        Line("Interface", "Table = 0", "wg-quick leaves it to ip(8)"),
        Line("Interface", "PrivateKeyFile = /etc/key", "ours"),
        Line("Peer", "PresharedKeyCommand = pass x", "ours"),
        Line("Peer", "AllowedIPs = +10.0.0.0/8, -::/0", "wireguard-tools of Debian 12 is older than signs"),
        Line("Peer", "Endpoint = 192.0.2.1:no-such-port", "names of services are looked up with the host"),
        Line("Peer", "Endpoint = 10.1:51820", "inet_aton's short forms are slips"),
    ]
}

@Suite(.enabled(if: WgOracle.isUsable, "needs root, wg, wg-quick and unshare")) struct WgOracleTests {
    /// Whether wg-quick strip and wg setconf understand each file.
    static func tools(_ lines: [Line]) throws -> [Bool] {
        try WgOracle.withDirectory { directory in
            for (index, line) in lines.enumerated() { try File.replace("\(directory)/t\(index).conf", with: line.file) }
            let script = """
                for ((i = 0; i < \(lines.count); i++)); do
                    if wg-quick strip ./t$i.conf > stripped 2>/dev/null &&
                        ! wg setconf no-such-device stripped 2>&1 | grep -qE 'parsing error|Invalid configuration'
                    then echo yes; else echo no; fi
                done
                """
            let run = try WgOracle.shell(script, in: directory)
            return String(decoding: run.output, as: UTF8.self).split(separator: "\n").map { $0 == "yes" }
        }
    }

    static func accepts(_ line: Line) -> Bool { (try? TunnelConfiguration.parse(line.file, file: "f")) != nil }

    @Test func `P7: what wg and wg-quick accept, we accept; what they refuse, we refuse`() throws {
        let lines = Line.good + Line.bad
        let verdicts = try WgOracleTests.tools(lines)
        try #require(verdicts.count == lines.count)
        for (index, (line, theirs)) in zip(lines, verdicts).enumerated() {
            #expect(theirs == (index < Line.good.count), "the tools and \(line.text)")
            #expect(WgOracleTests.accepts(line) == theirs, "\(line.section): \(line.text)")
        }
    }

    @Test func `P7: every difference from the tools is known`() throws {
        let verdicts = try WgOracleTests.tools(Line.different)
        for (line, theirs) in zip(Line.different, verdicts) {
            #expect(WgOracleTests.accepts(line) != theirs, "\(line.text): \(line.difference ?? "")")
        }
    }

    /// wg sends to our socket what it read; that must be the device that we read.
    @Test func `P7, A1: wg setconf of our stripped text makes the same device`() throws {
        for seed in 0..<25 {
            var generator = SeededGenerator(seed: UInt64(seed))
            var tunnel = generator.tunnel()
            for index in tunnel.peers.indices {
                if case .name = tunnel.peers[index].endpoint { tunnel.peers[index].endpoint = nil }
                tunnel.peers[index].allowedIPs = tunnel.peers[index].allowedIPs.map { AllowedIPEntry($0.prefix) }
            }
            let text = tunnel.text(.wg).withBytes { Array($0) }
            let outcome = try WgOracle.withDirectory { directory in
                try File.replace("\(directory)/f", with: text)
                return try WgOracle.wg(["setconf", "dev0", "\(directory)/f"], device: "dev0") { request, response in
                    response.append(uapiErrno: nil)
                }
            }
            guard case .set(let change) = outcome.requests.last else {
                Issue.record("seed \(seed): \(outcome.errorOutput)")
                continue
            }
            let theirs = DeviceConfiguration().applying(change)
            #expect(theirs == tunnel.device { _ in nil }, "seed \(seed)")
        }
    }
}
