import LinuxSystem
import Synchronization
import Testing

@testable import WireGuardEngine

/// What handshake messages do to the timers.
@Suite struct HandshakeTimerTests {
    /// Connected for 130 s, so that a packet of A starts a handshake; all four timers that traffic moves are pending
    /// at the one or the other.
    private func aged() -> VirtualPair {
        let pair = VirtualPair(keepaliveA: 600, endpointOfA: true)
        pair.connect()
        pair.advance(seconds: 130)
        return pair
    }

    @Test func `R2: an initiation and a response count as sent and disarm the keepalive`() {
        let pair = aged()
        let now = pair.now.boot
        let (a, b) = (pair.a.peer(pair.b.publicKey), pair.b.peer(pair.a.publicKey))
        _ = pair.a.device.record.pointee.dataReceived(a, now)
        _ = pair.b.device.record.pointee.dataReceived(b, now)
        #expect(a.isPending(.sendKeepalive) && b.isPending(.sendKeepalive))
        pair.a.device.sendInitiation(to: a, at: pair.now)
        pair.a.takeOutgoing()
        #expect(!a.isPending(.sendKeepalive))
        pair.b.runReceive(pair.a.outbox, at: now)
        pair.b.runControl(at: pair.now)
        #expect(pair.b.outbox.map(\.kind) == [.response])
        #expect(!b.isPending(.sendKeepalive))
    }

    @Test func `R1, R7: an initiation and a response received disarm the handshake and postpone the keepalive`() {
        let pair = aged()
        let now = pair.now.boot
        let (a, b) = (pair.a.peer(pair.b.publicKey), pair.b.peer(pair.a.publicKey))
        b.pointee.timers.persistentKeepaliveSeconds.store(600, ordering: .relaxed)
        let postponed = now.advanced(byNanoseconds: 600_000_000_000).nanoseconds
        pair.a.device.sendInitiation(to: a, at: pair.now)
        pair.a.takeOutgoing()
        #expect(a.deadline(.persistentKeepalive) == postponed)
        _ = pair.a.device.record.pointee.dataSent(a, now, jitter: 0)
        _ = pair.b.device.record.pointee.dataSent(b, now, jitter: 0)
        #expect(a.isPending(.newHandshake) && b.isPending(.newHandshake))
        pair.b.runReceive(pair.a.outbox, at: now)
        pair.b.runControl(at: pair.now)
        #expect(!b.isPending(.newHandshake))
        #expect(b.deadline(.persistentKeepalive) == postponed)
        pair.advance(seconds: 0.5)
        pair.a.runReceive(pair.b.outbox, at: pair.now.boot)
        pair.a.device.collectMail(at: pair.now)
        while pair.a.device.handleHandshake(at: pair.now) {}
        #expect(!a.isPending(.newHandshake))
        #expect(a.deadline(.persistentKeepalive) == postponed + 500_000_000)
    }

    @Test func `R1: a silent peer is called with a fresh series of attempts`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        pair.passes = { _ in false }
        peer.pointee.timers.handshakeAttempts.store(7, ordering: .relaxed)
        pair.run(seconds: 16)
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
        #expect(peer.attempts == 0)
    }

    @Test func `R3: who gives up sends no keepalive any more, and forgets the keys no later than before`() {
        let pair = VirtualPair()
        let peer = pair.a.peer(pair.b.publicKey)
        pair.passes = { _ in false }
        pair.send(from: pair.a)
        pair.settle()
        peer.pointee.timers.handshakeAttempts.store(ProtocolLimits.maximumTimerHandshakes + 1, ordering: .relaxed)
        pair.a.device.armZeroKeys(peer, at: pair.now)
        let zeroKeys = peer.deadline(.zeroKeys)
        pair.advance(seconds: 5.4)
        _ = pair.a.device.record.pointee.dataReceived(peer, pair.now.boot)
        #expect(peer.isPending(.sendKeepalive))
        pair.a.runControl(at: pair.now)
        #expect(!peer.isPending(.retransmitHandshake) && !peer.isPending(.sendKeepalive))
        #expect(peer.deadline(.zeroKeys) == zeroKeys)
    }

    @Test func `R6: a responder whose initiator vanished forgets after 540 s, too`() {
        let pair = VirtualPair()
        pair.passes = { $0.kind == .initiation }
        pair.send(from: pair.a)
        pair.settle()
        pair.passes = { _ in false }
        let peer = pair.b.peer(pair.a.publicKey)
        #expect(peer.next != nil)
        pair.run(seconds: 539)
        #expect(peer.next != nil)
        pair.run(seconds: 2)
        #expect(peer.next == nil)
    }

    @Test func `N12: what another handshake put out of its slot is wiped, here and at the other side`() {
        let pair = VirtualPair()
        for _ in 0..<5 {
            pair.connect()
            pair.advance(seconds: 6)
            pair.a.device.expireSendingKeys(at: pair.now)
        }
        for (device, other) in [(pair.a, pair.b), (pair.b, pair.a)] {
            let peer = device.peer(other.publicKey)
            #expect(peer.current != nil && peer.previous != nil && peer.next == nil)
            device.device.reclaim()
            #expect(!device.device.record.pointee.reclaimer.isWaiting)
            #expect(device.device.record.pointee.indices.entryCount == 2)
        }
    }

    @Test func `R4, R5: a new packet, and a new session, start all counts afresh`() {
        let pair = VirtualPair()
        let peer = pair.a.peer(pair.b.publicKey)
        pair.passes = { _ in false }
        pair.send(from: pair.a)
        pair.settle()
        peer.pointee.timers.handshakeAttempts.store(7, ordering: .relaxed)
        pair.send(from: pair.a)
        #expect(peer.attempts == 0)
        pair.passes = { _ in true }
        peer.pointee.timers.sentLastMinuteHandshake.store(true, ordering: .relaxed)
        pair.run(seconds: 6)
        #expect(peer.current != nil)
        let sentLastMinute = peer.pointee.timers.sentLastMinuteHandshake.load(ordering: .relaxed)
        #expect(!sentLastMinute)
    }

    @Test func `R9: a responder that only receives does not renew at 165 s`() {
        let pair = VirtualPair(endpointOfA: true)
        pair.connect()
        pair.passes = { $0.kind == .data }
        pair.advance(seconds: 166)
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.b.delivered.count == 2)
        #expect(pair.sent(.initiation, from: pair.b).isEmpty)
    }

    @Test func `R1, R2: the first packet of a lull tells control of its timer, in either direction`() {
        let pair = VirtualPair(endpointOfA: true)
        pair.connect()
        pair.run(seconds: 20)
        pair.send(from: pair.a)
        #expect(pair.a.isControlWoken)
        pair.b.runReceive(pair.a.outbox, at: pair.now.boot)
        #expect(pair.b.isControlWoken)
    }
}
