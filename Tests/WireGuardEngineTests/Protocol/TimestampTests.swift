import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct TimestampTests {
    /// An initiation of `pair.a`, not delivered.
    private func initiation(_ pair: VirtualPair) -> Datagram {
        pair.a.device.expireSendingKeys(at: pair.now)
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        defer { pair.a.outbox = [] }
        return pair.a.outbox.last { $0.kind == .initiation }!
    }

    private func responses(_ pair: VirtualPair, to datagram: Datagram) -> Int {
        pair.b.runReceive([datagram], at: pair.now.boot)
        pair.b.runControl(at: pair.now)
        defer { pair.b.outbox = [] }
        return pair.b.outbox.count { $0.kind == .response }
    }

    @Test func `T1: only a greater timestamp is accepted, also after down and up`() {
        let pair = VirtualPair()
        let first = initiation(pair)
        pair.advance(seconds: 1)
        let second = initiation(pair)
        #expect(responses(pair, to: second) == 1)
        pair.advance(seconds: 1)
        #expect(responses(pair, to: second) == 0)
        #expect(responses(pair, to: first) == 0)
        pair.b.device.setUp(false, at: pair.now)
        pair.b.device.setUp(true, at: pair.now)
        pair.advance(seconds: 1)
        #expect(responses(pair, to: second) == 0)
        #expect(responses(pair, to: initiation(pair)) == 1)
    }

    @Test func `T1: a recorded initiation is refused by the next worker, too`() {
        let pair = VirtualPair()
        let recorded = initiation(pair)
        #expect(responses(pair, to: recorded) == 1)
        pair.advance(seconds: 1)
        pair.b.restartWorker(
            random: .system,
            configure: { device in
                let change = VirtualPair.change(
                    pair.b, peer: pair.a.publicKey, endpoint: nil, allowed: ["10.0.0.1/32"], nil, keepalive: 0)
                try? device.apply(change, at: pair.now)
            }, at: pair.now)
        #expect(responses(pair, to: recorded) == 0)
        #expect(responses(pair, to: initiation(pair)) == 1)
    }

    @Test func `T2: two initiations of a peer within 20 ms are one too many`() {
        let pair = VirtualPair()
        #expect(responses(pair, to: initiation(pair)) == 1)
        #expect(responses(pair, to: initiation(pair)) == 0)
        pair.advance(seconds: 0.019)
        #expect(responses(pair, to: initiation(pair)) == 0)
        pair.advance(seconds: 0.001)
        #expect(responses(pair, to: initiation(pair)) == 1)
    }

    @Test func `T2, R9: a clock that went backward makes no flood of what comes`() {
        let pair = VirtualPair()
        #expect(responses(pair, to: initiation(pair)) == 1)
        pair.now.boot = BootTime(nanoseconds: pair.now.boot.nanoseconds - 10_000_000_000)
        #expect(responses(pair, to: initiation(pair)) == 1)
    }

    @Test func `T3: a peer that is removed and comes back after the clock was set back is heard`() {
        let pair = VirtualPair()
        #expect(responses(pair, to: initiation(pair)) == 1)
        pair.now.wall.seconds -= 3600
        pair.advance(seconds: 1)
        var change = VirtualPair.change(
            pair.a, peer: pair.b.publicKey, endpoint: VirtualPair.addressB, allowed: ["10.0.0.2/32"], nil, keepalive: 0)
        change.replacePeers = true
        pair.a.apply(change, at: pair.now)
        #expect(responses(pair, to: initiation(pair)) == 1)
    }

    @Test func `T3: timestamps grow even when the clock is set back, and start above the floor of an earlier life`() {
        let pair = VirtualPair()
        let before = initiation(pair)
        #expect(responses(pair, to: before) == 1)
        pair.now.wall.seconds -= 3600
        pair.advance(seconds: 1)
        #expect(responses(pair, to: initiation(pair)) == 1)
        let floor = TAI64N(WallTime(seconds: 1_800_000_000, nanoseconds: 0))
        let fresh = VirtualDevice(privateKey: pair.a.privateKey, address: VirtualPair.addressA, timestampFloor: floor)
        fresh.apply(
            VirtualPair.change(
                fresh, peer: pair.b.publicKey, endpoint: VirtualPair.addressB, allowed: ["10.0.0.2/32"], nil,
                keepalive: 0),
            at: pair.now)
        fresh.device.setUp(true, at: pair.now)
        fresh.runTransmit([Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2")], at: pair.now.boot)
        fresh.runControl(at: pair.now)
        #expect(fresh.device.timestampFloor > floor)
    }

    @Test func `T3: a floor that is only heard of with the private key holds for peers that are there already`() {
        let pair = VirtualPair()
        #expect(responses(pair, to: initiation(pair)) == 1)
        let floor = TAI64N(WallTime(seconds: 1_800_000_000, nanoseconds: 0))
        pair.a.device.raiseTimestampFloor(to: floor)
        #expect(pair.a.device.timestampFloor == floor)
        pair.advance(seconds: 1)
        #expect(responses(pair, to: initiation(pair)) == 1)
        #expect(pair.b.peer(pair.a.publicKey).pointee.row.pointee.acceptedTimestamp > floor)
    }
}
