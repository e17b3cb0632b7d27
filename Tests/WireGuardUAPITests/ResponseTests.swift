import Glibc
import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport
import WireGuardUAPI

func response(_ text: String, inPiecesOf size: Int = 1 << 20) throws -> UAPIResponse? {
    var parser = UAPIResponseParser()
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
        let piece = Array(bytes[start..<min(bytes.count, start + size)])
        if let response = try piece.withUnsafeBytes({ try parser.feed($0) }) { return response }
        start += size
    }
    return nil
}

@Suite struct ResponseTests {
    @Test func `U4: the order of a get response`() throws {
        let peer = PeerConfiguration(
            publicKey: try #require(PublicKey(hex: peerA)), endpoint: Endpoint("[2001:db8::1]:51820"),
            persistentKeepaliveSeconds: 25, allowedIPs: [try #require(IPPrefix("10.0.0.0/8")), .everythingIPv6])
        let quiet = PeerConfiguration(
            publicKey: try #require(PublicKey(hex: peerB)), presharedKey: PresharedKey(hex: peerA))
        let status = DeviceStatus(
            configuration: DeviceConfiguration(
                privateKey: PrivateKey(hex: String(repeating: "48", count: 32)), listenPort: 51820, firewallMark: 16,
                peers: [peer, quiet]),
            peers: [
                peer.publicKey: PeerStatus(
                    lastHandshake: WallTime(seconds: 1_700_000_000, nanoseconds: 5), receivedBytes: 1372,
                    sentBytes: 1428)
            ])
        var text = SecretText()
        text.append(uapiStatus: status)
        text.append(uapiErrno: nil)
        #expect(
            text.withBytes { String(decoding: $0, as: UTF8.self) } == """
                private_key=\(String(repeating: "48", count: 32))
                listen_port=51820
                fwmark=16
                public_key=\(peerA)
                preshared_key=\(zeros)
                protocol_version=1
                endpoint=[2001:db8::1]:51820
                last_handshake_time_sec=1700000000
                last_handshake_time_nsec=5
                tx_bytes=1428
                rx_bytes=1372
                persistent_keepalive_interval=25
                allowed_ip=10.0.0.0/8
                allowed_ip=::/0
                public_key=\(peerB)
                preshared_key=\(peerA)
                protocol_version=1
                last_handshake_time_sec=0
                last_handshake_time_nsec=0
                tx_bytes=0
                rx_bytes=0
                persistent_keepalive_interval=0
                errno=0


                """)
    }

    @Test func `U4: an unconfigured device says nothing but errno`() {
        var text = SecretText()
        text.append(uapiStatus: DeviceStatus(configuration: DeviceConfiguration()))
        text.append(uapiErrno: nil)
        #expect(text.withBytes { String(decoding: $0, as: UTF8.self) } == "errno=0\n\n")
    }

    @Test func `U3: an error is reported as a negative number`() throws {
        var text = SecretText()
        text.append(uapiErrno: Errno(EINVAL))
        #expect(text.withBytes { String(decoding: $0, as: UTF8.self) } == "errno=-22\n\n")
        #expect(try response("errno=-22\n\n")?.errno == Errno(EINVAL))
        #expect(try response("errno=22\n\n")?.errno == Errno(EINVAL))
        #expect(try response("errno=0\n\n")?.errno == nil)
    }

    @Test func `U4: a status goes through text unchanged`() throws {
        for seed in 0..<100 {
            var generator = SeededGenerator(seed: UInt64(seed))
            var status = DeviceStatus(configuration: generator.device().normalised)
            for peer in status.configuration.peers {
                status.peers[peer.publicKey] = PeerStatus(
                    lastHandshake: generator.oneIn(3)
                        ? nil
                        : WallTime(
                            seconds: Int64(generator.below(1 << 40)),
                            nanoseconds: UInt32(generator.below(1_000_000_000))),
                    receivedBytes: generator.next(), sentBytes: generator.next())
            }
            var text = SecretText()
            text.append(uapiStatus: status)
            text.append(uapiErrno: nil)
            let string = text.withBytes { String(decoding: $0, as: UTF8.self) }
            let answer = try response(string, inPiecesOf: 1 + generator.below(400))
            #expect(answer == UAPIResponse(errno: nil, device: status), "seed \(seed)")
        }
    }

    @Test(arguments: [
        "\n", "listen_port=1\n\n", "nonsense\n\n", "listen_port=x\nerrno=0\n\n", "public_key=12\nerrno=0\n\n",
        "errno=\n\n", "errno=--1\n\n",
    ])
    func `a malformed answer is an error that names its line`(text: String) {
        #expect(throws: UAPIResponseError.self) { try response(text) }
    }

    @Test func `keys of a newer engine are skipped, and half an answer is none yet`() throws {
        #expect(try response("listen_port=7\nfancy=1\nerrno=0\n\n")?.device.configuration.listenPort == 7)
        #expect(try response("listen_port=7\nerrno=0\n") == nil)
    }

    @Test func `U5: an answer has a limit, in whatever pieces it comes`() throws {
        let answer = Array("listen_port=7\nerrno=0\n\n".utf8)
        for (limit, fits) in [(answer.count, true), (answer.count - 1, false)] {
            var limits = UAPILimits()
            limits.totalBytes = limit
            for size in [1, answer.count - 1, answer.count] {
                var parser = UAPIResponseParser(limits: limits)
                var port: UInt16?
                var isRefused = false
                for start in stride(from: 0, to: answer.count, by: size) {
                    let piece = Array(answer[start..<min(start + size, answer.count)])
                    do {
                        let response = try piece.withUnsafeBytes { try parser.feed($0) }
                        port = response?.device.configuration.listenPort
                    } catch {
                        isRefused = true
                    }
                }
                #expect(port == (fits ? 7 : nil) && isRefused == !fits, "pieces of \(size)")
            }
        }
    }

    @Test func `U4: a peer of which an engine tells little has nothing of the one before it`() throws {
        let text = "public_key=\(peerA)\nrx_bytes=5\ntx_bytes=6\nlast_handshake_time_sec=7\n"
        let answer = try response(text + "public_key=\(peerB)\nerrno=0\n\n")
        let quiet = try #require(PublicKey(hex: peerB))
        #expect(answer?.device.peers[quiet] == PeerStatus(receivedBytes: 0, sentBytes: 0))
    }

    @Test func `U2, U3: a get is two lines, and an errno of zero is no error`() {
        var text = SecretText()
        text.appendUAPIGet()
        text.append(uapiErrno: Errno(0))
        #expect(text.withBytes { String(decoding: $0, as: UTF8.self) } == "get=1\n\nerrno=0\n\n")
    }
}
