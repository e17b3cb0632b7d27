import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport
import WireGuardUAPI

/// The other end of the UAPI is wg(8) itself.
@Suite(.enabled(if: WgOracle.isUsable, "needs root, wg and unshare")) struct WgToolTests {
    static func status(_ generator: inout SeededGenerator, now: WallTime) -> DeviceStatus {
        var status = DeviceStatus(configuration: generator.device(keysOutOf: 200).normalised)
        for peer in status.configuration.peers {
            let age = [0, 1, 59, 60, 61, 3600, 86_400, 90_061, 31_536_000, 70_000_000, -5]
            status.peers[peer.publicKey] = PeerStatus(
                lastHandshake: generator.oneIn(4)
                    ? nil
                    : WallTime(
                        seconds: now.seconds - Int64(age[generator.below(age.count)]),
                        nanoseconds: UInt32(generator.below(1_000_000_000))),
                receivedBytes: generator.oneIn(4) ? 0 : generator.next() >> UInt64(generator.below(64)),
                sentBytes: generator.oneIn(4) ? 0 : generator.next() >> UInt64(generator.below(64)))
        }
        return status
    }

    @Test func `P7, U4: wg show reads our status, and our own show is the same text`() throws {
        for seed in 0..<8 {
            var generator = SeededGenerator(seed: UInt64(seed))
            // A second that passes between wg's look at the clock and ours changes the text: once more, then.
            for attempt in 0..<5 {
                let now = WallTime.now
                let status = WgToolTests.status(&generator, now: now)
                let outcome = try WgOracle.wg(["show", "dev0"], device: "dev0") { _, response in
                    response.append(uapiStatus: status)
                    response.append(uapiErrno: nil)
                }
                var ours = SecretText()
                ours.append(wgShow: status, interface: "dev0", now: now, showsKeys: true)
                let text = ours.withBytes { String(decoding: $0, as: UTF8.self) }
                if WallTime.now.seconds != now.seconds, attempt < 4 { continue }
                #expect(outcome.requests == [.get])
                #expect(outcome.errorOutput == "")
                #expect(outcome.output == text, "seed \(seed)")
                break
            }
        }
    }

    @Test func `P7, U3: what wg set asks for arrives`() throws {
        let arguments = [
            "set", "dev0", "listen-port", "4711", "fwmark", "0x10", "peer", numberedKey(1).base64, "endpoint",
            "[2001:db8::1]:5", "persistent-keepalive", "25", "allowed-ips", "10.1.2.3/8,::/0", "peer",
            numberedKey(2).base64, "remove", "peer", numberedKey(3).base64, "endpoint", "[fe80::1%lo]:6",
            "preshared-key", "/dev/null",
        ]
        var expected = DeviceChange()
        expected.listenPort = 4711
        expected.firewallMark = 16
        var first = PeerChange(publicKey: numberedKey(1))
        first.endpoint = Endpoint("[2001:db8::1]:5")
        first.persistentKeepaliveSeconds = 25
        first.replaceAllowedIPs = true
        first.allowedIPs = ["10.0.0.0/8", "::/0"].compactMap { IPPrefix($0) }.map { .add($0) }
        var second = PeerChange(publicKey: numberedKey(2))
        second.remove = true
        var third = PeerChange(publicKey: numberedKey(3))
        third.endpoint = Endpoint("[fe80::1%1]:6")
        third.presharedKey = .remove
        expected.peers = [first, second, third]
        let outcome = try WgOracle.wg(arguments, device: "dev0") { _, response in response.append(uapiErrno: nil) }
        #expect(outcome.status == 0, "\(outcome.errorOutput)")
        // A get may come first: wg looks whether the device is there.
        #expect(outcome.requests.last == .set(expected))
    }

    @Test func `U3: wg reports the errno that we answer`() throws {
        let outcome = try WgOracle.wg(["set", "dev0", "listen-port", "80"], device: "dev0") { _, response in
            response.append(uapiErrno: Errno(rawValue: 98))
        }
        #expect(outcome.status == 1)
        #expect(outcome.errorOutput == "Unable to modify interface: Address already in use\n")
    }
}
