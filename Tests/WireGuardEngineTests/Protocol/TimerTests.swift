import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct TimerTests {
    private let second: Double = 1e9

    private func times(_ pair: VirtualPair, _ kind: Message.Kind, from device: VirtualDevice, since start: UInt64)
        -> [Double]
    {
        pair.sent(kind, from: device).map { Double($0.time) - Double(start) }.filter { $0 >= 0 }.map { $0 / second }
    }

    @Test func `R1: a packet without any answer starts a handshake after 15 s and jitter`() {
        let pair = VirtualPair()
        pair.connect()
        // The confirmation of B's first packet stops the timers.
        pair.send(from: pair.b)
        pair.settle()
        pair.advance(seconds: 20)
        pair.passes = { _ in false }
        let start = pair.now.boot.nanoseconds
        pair.send(from: pair.a)
        pair.run(seconds: 16)
        let initiations = times(pair, .initiation, from: pair.a, since: start)
        #expect(initiations.count == 1)
        #expect((15.0...15.334).contains(initiations.first ?? 0))
    }

    @Test func `R1: any authenticated packet received disarms it, and a second packet sent does not postpone it`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        #expect(peer.isPending(.newHandshake))
        let deadline = peer.deadline(.newHandshake)
        pair.advance(seconds: 1)
        pair.send(from: pair.a)
        #expect(peer.deadline(.newHandshake) == deadline)
        pair.send(from: pair.b)
        pair.settle()
        #expect(!peer.isPending(.newHandshake))
    }

    @Test func `R2: data received and nothing sent for 10 s: one keepalive; keepalives are not answered`() {
        let pair = VirtualPair()
        pair.connect()
        let start = pair.now.boot.nanoseconds
        pair.run(seconds: 60)
        let keepalives = pair.sent(.data, from: pair.b).filter { $0.datagram.bytes.count == 32 }
        #expect(keepalives.count == 1)
        #expect(keepalives.first.map { Double($0.time - start) / second } == 10)
        #expect(pair.sent(.data, from: pair.a).count == 1)
    }

    @Test func `R2: more data while the keepalive is pending asks for another one`() {
        let pair = VirtualPair()
        pair.connect()
        pair.advance(seconds: 4)
        pair.send(from: pair.a)
        pair.settle()
        let peer = pair.b.peer(pair.a.publicKey)
        #expect(peer.needsAnotherKeepalive)
        pair.advance(seconds: 6)
        // Control lets the timer expire and arms the next one before tx has sent the keepalive.
        pair.b.runControl(at: pair.now)
        #expect(peer.isPending(.sendKeepalive))
        #expect(!peer.needsAnotherKeepalive)
    }

    @Test func `R2: sending anything disarms the keepalive`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.b.peer(pair.a.publicKey)
        #expect(peer.isPending(.sendKeepalive))
        pair.send(from: pair.b)
        #expect(!peer.isPending(.sendKeepalive))
    }

    @Test func `R3: an unanswered initiation is repeated every 5 s and jitter, 20 times in all, and then given up`() {
        let pair = VirtualPair()
        pair.passes = { _ in false }
        let start = pair.now.boot.nanoseconds
        pair.send(from: pair.a)
        pair.run(seconds: 200)
        let initiations = times(pair, .initiation, from: pair.a, since: start)
        #expect(initiations.count == 20)
        for (earlier, later) in zip(initiations, initiations.dropFirst()) {
            #expect((5.0...5.334).contains(later - earlier))
        }
        #expect((95...102).contains(initiations.last ?? 0))
        // The packet is dropped and counted, and the residue is forgotten later.
        #expect(pair.a.peer(pair.b.publicKey).stagedCount == 0)
        #expect(pair.a.device.record.pointee.counters.transmitDropped.load(ordering: .relaxed) == 1)
        #expect(pair.a.peer(pair.b.publicKey).isPending(.zeroKeys))
        // A later packet starts a fresh series.
        pair.send(from: pair.a)
        pair.run(seconds: 200)
        #expect(pair.sent(.initiation, from: pair.a).count == 40)
    }

    @Test func `R3: each retry is a new message with a new ephemeral key and index`() {
        let pair = VirtualPair()
        pair.passes = { _ in false }
        pair.send(from: pair.a)
        pair.run(seconds: 30)
        let messages = pair.sent(.initiation, from: pair.a).map(\.datagram.bytes)
        #expect(Set(messages.map { Array($0[4..<8]) }).count == messages.count)
        #expect(Set(messages.map { Array($0[8..<40]) }).count == messages.count)
    }

    @Test func `R4: at most one initiation in 5 s, whatever asks for it; sending a response counts, too`() {
        let pair = VirtualPair(endpointOfA: true)
        pair.passes = { _ in false }
        for _ in 0..<49 {
            pair.send(from: pair.a)
            pair.settle()
            pair.advance(seconds: 0.1)
        }
        #expect(pair.sent(.initiation, from: pair.a).count == 1)
        let other = VirtualPair(endpointOfA: true)
        other.passes = { $0.kind == .initiation }
        other.send(from: other.a)
        other.settle()
        other.send(from: other.b)
        other.settle()
        #expect(other.sent(.response, from: other.b).count == 1)
        #expect(other.sent(.initiation, from: other.b).isEmpty)
        other.advance(seconds: 5)
        other.send(from: other.b)
        other.settle()
        #expect(other.sent(.initiation, from: other.b).count == 1)
    }

    @Test func `R4: a new packet resets the number of attempts`() {
        let pair = VirtualPair()
        pair.passes = { _ in false }
        pair.send(from: pair.a)
        pair.run(seconds: 60)
        pair.send(from: pair.a)
        pair.run(seconds: 300)
        #expect(pair.sent(.initiation, from: pair.a).count > 25)
    }

    @Test func `R5: a completed handshake stops the retries and tells the time`() {
        let pair = VirtualPair()
        #expect(pair.a.device.status().peers[pair.b.publicKey]?.lastHandshake == nil)
        pair.advance(seconds: 0.25)
        pair.connect()
        for (device, other) in [(pair.a, pair.b), (pair.b, pair.a)] {
            let peer = device.peer(other.publicKey)
            #expect(!peer.isPending(.retransmitHandshake))
            #expect(peer.attempts == 0)
            #expect(device.device.status().peers[other.publicKey]?.lastHandshake == pair.now.wall)
        }
    }

    @Test func `R6: 540 s after the last session everything is forgotten, and then nothing is due`() {
        let pair = VirtualPair()
        pair.connect()
        pair.run(seconds: 539)
        #expect(pair.b.peer(pair.a.publicKey).current != nil)
        pair.run(seconds: 2)
        for (device, other) in [(pair.a, pair.b), (pair.b, pair.a)] {
            #expect(device.peer(other.publicKey).current == nil)
            device.runControl(at: pair.now)
            #expect(device.device.nextDeadline(after: pair.now.boot) == nil)
        }
    }

    @Test func `R7: a persistent keepalive goes out after N idle seconds, again and again`() {
        let pair = VirtualPair(keepaliveA: 7, up: false)
        pair.a.device.setUp(true, at: pair.now)
        pair.b.device.setUp(true, at: pair.now)
        pair.settle()
        let start = pair.now.boot.nanoseconds
        pair.run(seconds: 50)
        #expect(times(pair, .data, from: pair.a, since: start) == [0, 7, 14, 21, 28, 35, 42, 49])
        // Traffic postpones it.
        pair.advance(seconds: 3)
        pair.send(from: pair.a)
        let sent = pair.now.boot.nanoseconds
        pair.run(seconds: 8)
        #expect(times(pair, .data, from: pair.a, since: sent) == [0, 7])
    }

    @Test func `R7: turning it on while up sends one at once, changing it does not, turning it off stops it`() {
        let pair = VirtualPair()
        func set(_ seconds: UInt16) {
            var change = DeviceChange()
            var peer = PeerChange(publicKey: pair.b.publicKey)
            peer.persistentKeepaliveSeconds = seconds
            change.peers = [peer]
            pair.a.apply(change, at: pair.now)
            pair.settle()
        }
        set(25)
        #expect(pair.sent(.data, from: pair.a).count == 1)
        set(10)
        #expect(pair.sent(.data, from: pair.a).count == 1)
        set(0)
        pair.run(seconds: 100)
        #expect(pair.sent(.data, from: pair.a).count == 1)
    }

    @Test func `R8: a keepalive with staged packets is the staged packets`() {
        let pair = VirtualPair()
        pair.passes = { _ in false }
        pair.send(from: pair.a)
        pair.settle()
        var change = DeviceChange()
        var peer = PeerChange(publicKey: pair.b.publicKey)
        peer.persistentKeepaliveSeconds = 25
        change.peers = [peer]
        pair.a.apply(change, at: pair.now)
        pair.settle()
        #expect(pair.a.peer(pair.b.publicKey).stagedCount == 1)
    }

    @Test func `R9: ages are measured on the boot clock, and a clock that goes backward traps nothing`() {
        let pair = VirtualPair()
        pair.connect()
        pair.now.wall.seconds -= 100_000
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.b.delivered.count == 2)
        pair.now.boot = BootTime(nanoseconds: 5)
        for _ in 0..<3 {
            pair.send(from: pair.a)
            pair.send(from: pair.b)
            pair.settle()
            pair.run(seconds: 30)
        }
        pair.now.boot = BootTime(nanoseconds: .max - 5)
        pair.send(from: pair.a)
        pair.settle()
    }

    @Test func `R9: an initiator renews after 120 s of use, a responder does not`() {
        let pair = VirtualPair(endpointOfA: true)
        pair.connect()
        pair.run(seconds: 119)
        pair.send(from: pair.a)
        pair.send(from: pair.b)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.a).count == 1)
        pair.advance(seconds: 1)
        pair.send(from: pair.b)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.b).isEmpty)
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
    }

    @Test func `R9: an initiator that only receives renews once at 165 s`() {
        let pair = VirtualPair()
        pair.connect()
        pair.run(seconds: 164)
        pair.send(from: pair.b)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.a).count == 1)
        pair.passes = { $0.kind != .initiation }
        pair.advance(seconds: 1)
        pair.send(from: pair.b)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
        pair.advance(seconds: 5)
        pair.a.peer(pair.b.publicKey).pointee.timers.stop()
        pair.send(from: pair.b)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
    }

    @Test func `no wake-up in steady traffic: only a deadline earlier than control's next look tells it`() {
        let pair = VirtualPair(keepaliveA: 25, endpointOfA: true)
        pair.connect()
        pair.send(from: pair.b)
        pair.settle()
        let inbox = { (device: VirtualDevice) in !device.device.record.pointee.controlInbox.isEmpty }
        var told = 0
        for _ in 0..<100 {
            pair.advance(seconds: 0.01)
            pair.send(from: pair.a)
            pair.b.runReceive(pair.a.outbox, at: pair.now.boot)
            pair.a.outbox = []
            pair.send(from: pair.b)
            pair.a.runReceive(pair.b.outbox, at: pair.now.boot)
            pair.b.outbox = []
            for device in [pair.a, pair.b] where inbox(device) {
                told += 1
                device.runControl(at: pair.now)
            }
        }
        #expect(told <= 4)
    }

    @Test func `D12: no timer is armed for an interface that is down, or for a peer that is gone`() {
        let pair = VirtualPair(keepaliveA: 25, up: false)
        let peer = pair.a.peer(pair.b.publicKey)
        let record = pair.a.device.record
        func arm() -> Bool {
            _ = record.pointee.dataSent(peer, pair.now.boot, jitter: 0)
            _ = record.pointee.dataReceived(peer, pair.now.boot)
            _ = record.pointee.armSendKeepalive(peer, pair.now.boot)
            _ = record.pointee.anyPacketTraversal(peer, pair.now.boot)
            return [.newHandshake, .sendKeepalive, .persistentKeepalive].contains { peer.isPending($0) }
        }
        #expect(!arm())
        record.pointee.isUp.store(true, ordering: .relaxed)
        peer.pointee.isRemoved.store(true, ordering: .relaxed)
        #expect(!arm())
        peer.pointee.isRemoved.store(false, ordering: .relaxed)
        #expect(arm())
    }

    @Test func `S3: a response wakes tx, which confirms the session; nobody else has to`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        pair.b.runReceive(pair.a.outbox, at: pair.now.boot)
        pair.b.runControl(at: pair.now)
        pair.a.isTransmitWoken = false
        pair.a.runReceive(pair.b.outbox, at: pair.now.boot)
        #expect(pair.a.isControlWoken)
        pair.a.runControl(at: pair.now)
        #expect(pair.a.isTransmitWoken && !pair.a.isControlWoken)
    }

    @Test func `N12: as long as a loop holds what was retired, control looks again within 10 ms`() {
        let pair = VirtualPair()
        pair.connect()
        pair.a.device.record.pointee.loops.pointee.wakesUp(.receive)
        pair.a.device.forgetSessions(at: pair.now)
        pair.a.device.reclaim()
        #expect(pair.a.device.nextDeadline(after: pair.now.boot) == pair.now.boot.advanced(byNanoseconds: 10_000_000))
    }
}
