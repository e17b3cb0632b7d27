import Glibc
import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport
import WireGuardUAPI

/// Everything that a connection with this text asks for, fed in pieces of `size` bytes, then closed.
func requests(_ text: String, inPiecesOf size: Int = .max, limits: UAPILimits = UAPILimits()) -> [UAPIRequest] {
    var parser = UAPIRequestParser(limits: limits) { $0 == "eth0" ? 7 : nil }
    var result: [UAPIRequest] = []
    let bytes = Array(text.utf8)
    bytes.withUnsafeBytes { buffer in
        var start = 0
        while start < buffer.count {
            let end = size < buffer.count - start ? start + size : buffer.count
            result += parser.feed(UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
            start = end
        }
    }
    if let last = parser.finish() { result.append(last) }
    return result
}

func text(uapiSet change: DeviceChange) -> String {
    var buffer = SecretText()
    buffer.append(uapiSet: change)
    return buffer.withBytes { String(decoding: $0, as: UTF8.self) }
}

let peerA = String(repeating: "a1", count: 32)
let peerB = String(repeating: "b2", count: 32)
let zeros = String(repeating: "00", count: 32)

@Suite struct RequestParserTests {
    @Test func `U2: several requests on one connection, in any pieces`() {
        let text = "get=1\n\nset=1\nlisten_port=5\n\nget=1\n\n"
        var change = DeviceChange()
        change.listenPort = 5
        for size in [1, 2, 3, 7, 1000] {
            #expect(requests(text, inPiecesOf: size) == [.get, .set(change), .get], "pieces of \(size)")
        }
    }

    @Test func `U2: a trailing byte after get is EINVAL, and the connection lives on`() {
        #expect(requests("get=1\nx") == [.refused(Errno(EINVAL))])
        #expect(requests("get=1\nx=1\n\nget=1\n\n") == [.refused(Errno(EINVAL)), .get])
    }

    @Test(arguments: ["", "get=2", "set=2", "get", "set=1 ", "GET=1", "get=1\r", "hello", "\u{0}"])
    func `U2: an unknown operation ends the connection without an answer`(line: String) {
        #expect(requests("\(line)\n\nget=1\n\n") == [.hangUp])
    }

    @Test func `U3: every key of a set request`() throws {
        let text = """
            set=1
            private_key=\(String(repeating: "48", count: 32))
            listen_port=51820
            fwmark=4294967295
            replace_peers=true
            public_key=\(peerA)
            update_only=true
            preshared_key=\(peerB)
            endpoint=192.0.2.1:51820
            persistent_keepalive_interval=65535
            replace_allowed_ips=true
            allowed_ip=10.1.2.3/8
            allowed_ip=-2001:db8::/32
            protocol_version=1
            public_key=\(peerB)
            remove=true
            endpoint=[fe80::1%eth0]:1


            """
        var expected = DeviceChange()
        expected.privateKey = .set(try #require(PrivateKey(hex: String(repeating: "48", count: 32))))
        expected.listenPort = 51820
        expected.firewallMark = .max
        expected.replacePeers = true
        var first = PeerChange(publicKey: try #require(PublicKey(hex: peerA)))
        first.updateOnly = true
        first.presharedKey = .set(try #require(PresharedKey(hex: peerB)))
        first.endpoint = Endpoint("192.0.2.1:51820")
        first.persistentKeepaliveSeconds = 65535
        first.replaceAllowedIPs = true
        first.allowedIPs = [
            .add(try #require(IPPrefix("10.0.0.0/8"))), .remove(try #require(IPPrefix("2001:db8::/32"))),
        ]
        var second = PeerChange(publicKey: try #require(PublicKey(hex: peerB)))
        second.remove = true
        second.endpoint = Endpoint("[fe80::1%7]:1")
        expected.peers = [first, second]
        #expect(requests(text) == [.set(expected)])
    }

    @Test func `A6, U3: keys of zeros are removals`() {
        var expected = DeviceChange()
        expected.privateKey = .remove
        var peer = PeerChange(publicKey: numberedKey(1))
        peer.presharedKey = .remove
        expected.peers = [peer]
        let text = "set=1\nprivate_key=\(zeros)\npublic_key=\(numberedKey(1).hex)\npreshared_key=\(zeros)\n\n"
        #expect(requests(text) == [.set(expected)])
    }

    @Test(arguments: [
        "private_key=", "private_key=\(peerA)0", "private_key=\(peerA.dropLast())", "private_key=\(peerA.dropLast())g",
        "private_key= \(peerA)", "private_key=\(peerA) ", "listen_port=", "listen_port=65536", "listen_port=-1",
        "listen_port=+1", "listen_port=0x10", "listen_port= 1", "listen_port=99999999999999999999999",
        "fwmark=4294967296",
        "fwmark=off", "fwmark=0x1", "replace_peers=false", "replace_peers=", "replace_peers=True", "replace_peers=1",
        "public_key=", "public_key=zz", "public_key=\(peerA)00", "allowed_ip=10.0.0.0/8", "endpoint=1.2.3.4:5",
        "remove=true", "protocol_version=1", "unknown=1", "=1", "Listen_Port=1", "listen_port =1", "errno=0",
        "rx_bytes=1", "last_handshake_time_sec=1", "preshared_key=\(peerA)",
    ])
    func `U3: a wrong device line is EINVAL`(line: String) {
        #expect(requests("set=1\n\(line)\n\nget=1\n\n") == [.refused(Errno(EINVAL)), .get])
    }

    @Test(arguments: [
        "private_key=\(peerA)", "listen_port=1", "fwmark=1", "replace_peers=true", "public_key=", "preshared_key=",
        "preshared_key=\(peerA)00", "endpoint=", "endpoint=1.2.3.4", "endpoint=host:1", "endpoint=1.2.3.4:65536",
        "endpoint=2001:db8::1:5", "endpoint=[1.2.3.4]:5", "endpoint=[fe80::1%nope]:5", "endpoint=1.2.3.4%7:5",
        "persistent_keepalive_interval=off", "persistent_keepalive_interval=65536", "persistent_keepalive_interval=",
        "allowed_ip=", "allowed_ip=/", "allowed_ip=10.0.0.0", "allowed_ip=10.0.0.0/", "allowed_ip=10.0.0.0/33",
        "allowed_ip=10.0.0.0/8/8", "allowed_ip=+10.0.0.0/8", "allowed_ip=--10.0.0.0/8", "allowed_ip=-",
        "allowed_ip=::/129",
        "allowed_ip=10.0.0.0/08x", "allowed_ip=10.0.0.0/-1", "allowed_ip=010.0.0.0/8", "replace_allowed_ips=1",
        "remove=false", "update_only=", "protocol_version=2", "protocol_version=", "protocol_version=01", "nothing=1",
        "tx_bytes=1",
    ])
    func `U3: a wrong peer line is EINVAL`(line: String) {
        #expect(requests("set=1\npublic_key=\(peerA)\n\(line)\n\n") == [.refused(Errno(EINVAL))])
    }

    @Test func `U3: a line without an equals sign is EPROTO`() {
        #expect(requests("set=1\nlisten_port\n\n") == [.refused(Errno(EPROTO))])
    }

    @Test func `U3: a refused request changes nothing, and the next one is heard`() {
        var change = DeviceChange()
        change.listenPort = 2
        let text = "set=1\nlisten_port=1\nnonsense\npublic_key=\(peerA)\n\nset=1\nlisten_port=2\n\n"
        #expect(requests(text, inPiecesOf: 5) == [.refused(Errno(EPROTO)), .set(change)])
        // Nor does a peer that was begun take up the lines of the next request.
        let behindPeer = "set=1\npublic_key=\(peerA)\nnonsense\n\nset=1\nlisten_port=2\n\n"
        #expect(requests(behindPeer) == [.refused(Errno(EPROTO)), .set(change)])
        // Its bytes do not count with those of the next.
        var limits = UAPILimits()
        limits.totalBytes = 40
        let refused = requests(String(repeating: "set=1\nnonsense\n\n", count: 10), limits: limits)
        #expect(refused == Array(repeating: .refused(Errno(EPROTO)), count: 10))
    }

    @Test func `U5: the end of the stream ends a request`() {
        var change = DeviceChange()
        change.peers = [PeerChange(publicKey: numberedKey(3))]
        #expect(requests("set=1\npublic_key=\(numberedKey(3).hex)\n") == [.set(change)])
        #expect(requests("set=1\npublic_key=\(numberedKey(3).hex)") == [.set(change)])
        #expect(requests("set=1\nbroken") == [.refused(Errno(EPROTO))])
        #expect(requests("") == [])
        // The last line came in pieces, and is not taken twice.
        #expect(requests("set=1\npublic_key=\(numberedKey(3).hex)\n", inPiecesOf: 5) == [.set(change)])
    }

    @Test func `U5: lines and requests have a limit, and the flood ends the connection`() {
        let long = "set=1\nfwmark=" + String(repeating: "0", count: 5000)
        #expect(requests(long, inPiecesOf: 100) == [.refused(Errno(EPROTO)), .hangUp])
        #expect(requests(long + "\n\n") == [.refused(Errno(EPROTO)), .hangUp])
        #expect(requests("set=1\nfwmark=" + String(repeating: "0", count: 1017) + "\n\n", inPiecesOf: 1000).count == 1)
        #expect(
            requests("set=1\nfwmark=" + String(repeating: "0", count: 1018) + "\n\n", inPiecesOf: 1000)
                == [.refused(Errno(EPROTO)), .hangUp])
        #expect(requests(String(repeating: "g", count: 5000), inPiecesOf: 100) == [.hangUp])
        var limits = UAPILimits()
        limits.totalBytes = 200
        let many = "set=1\n" + String(repeating: "fwmark=1\n", count: 100)
        #expect(requests(many, inPiecesOf: 64, limits: limits) == [.refused(Errno(E2BIG)), .hangUp])
        // The limit is per request.
        let requestsOfTen = String(repeating: "get=1\n\n", count: 100)
        #expect(requests(requestsOfTen, limits: limits).count == 100)
    }

    @Test func `U5: the limits are exact, in whatever pieces a line comes, and before its end`() {
        var limits = UAPILimits()
        limits.lineBytes = 10
        var change = DeviceChange()
        change.firewallMark = 123
        let flood: [UAPIRequest] = [.refused(Errno(EPROTO)), .hangUp]
        for size in [1, 3, 16, 100] {
            #expect(requests("set=1\nfwmark=123\n\n", inPiecesOf: size, limits: limits) == [.set(change)])
            #expect(requests("set=1\nfwmark=0123\n\n", inPiecesOf: size, limits: limits) == flood)
            #expect(requests("set=1\nfwmark=0123", inPiecesOf: size, limits: limits) == flood)
        }
        limits = UAPILimits()
        limits.totalBytes = 18
        let tooMuch: [UAPIRequest] = [.refused(Errno(E2BIG)), .hangUp]
        for size in [1, 17, 100] {
            #expect(requests("set=1\nfwmark=123\n\n", inPiecesOf: size, limits: limits) == [.set(change)])
            #expect(requests("set=1\nfwmark=0123\n\n", inPiecesOf: size, limits: limits) == tooMuch)
            #expect(requests("set=1\nfwmark=000123", inPiecesOf: size, limits: limits) == tooMuch)
        }
        #expect(requests("set=1\nfwmark=000123", limits: limits) == tooMuch)
    }

    @Test func `U5: a flood behind a refused line is not answered a second time`() {
        let flood = "set=1\nnonsense\n" + String(repeating: "0", count: 5000)
        #expect(requests(flood, inPiecesOf: 100) == [.refused(Errno(EPROTO)), .hangUp])
    }

    /// A key that nothing releases is never wiped. In a process of its own, where nobody else locks memory.
    @Test func `P3: a key that a later line replaces is let go`() async {
        await #expect(processExitsWith: .success) {
            let line = "preshared_key=\(peerA)\n"
            let request = Array("set=1\npublic_key=\(peerA)\n\(line)\(line)\n".utf8)
            let answer = Array("public_key=\(peerA)\n\(line)\(line)errno=0\n\n".utf8)
            var parser = UAPIRequestParser()
            var before = 0
            for round in 0...5000 {
                _ = request.withUnsafeBytes { parser.feed($0) }
                var answers = UAPIResponseParser()
                _ = try answer.withUnsafeBytes { try answers.feed($0) }
                if round == 0 { before = try #require(lockedBytes()) }
            }
            // Each that is kept would take a slot of 32 bytes in locked memory: 320,000 bytes.
            let grown = try #require(lockedBytes()) - before
            #expect(grown < 100_000, "\(grown) bytes")
        }
    }

    @Test func `U3: whatever the writer writes is read back`() {
        for seed in 0..<200 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let old = generator.device()
            let new = generator.device()
            for change in [DeviceChange(settingAll: new), DeviceChange.difference(from: old, to: new)] {
                #expect(
                    requests(text(uapiSet: change), inPiecesOf: 1 + generator.below(300)) == [.set(change)],
                    "seed \(seed)")
            }
        }
    }
}

/// VmLck of this process.
private func lockedBytes() -> Int? {
    guard let status = try? File.readText("/proc/self/status") else { return nil }
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmLck:") }
    return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }
        .map { $0 * 1024 }
}
