import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// The interface goes down and up, the machine sleeps, a worker takes over.
@Suite struct LifecycleTests {
    private let timers: [PeerPointer.Timer] = [
        .retransmitHandshake, .sendKeepalive, .newHandshake, .zeroKeys, .persistentKeepalive,
    ]

    @Test func `D12: down leaves nothing staged, queued, pending or due`() {
        let pair = VirtualPair(keepaliveA: 25)
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        pair.advance(seconds: 180)
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        #expect(peer.stagedCount == 1 && peer.isHandshakePending)
        let junk = [1, 0, 0, 0] + [UInt8](repeating: 0, count: 144)
        pair.a.runReceive(
            [Datagram(source: pair.b.address, destination: pair.a.address, bytes: junk)], at: pair.now.boot)
        #expect(pair.a.device.record.pointee.handshakes.count == 1)
        let later = pair.now.boot.advanced(byNanoseconds: 1_000_000_000).nanoseconds
        peer.pointee.timers.sendKeepalive.store(later, ordering: .relaxed)
        peer.pointee.timers.newHandshake.store(later, ordering: .relaxed)
        #expect(timers.allSatisfy { peer.isPending($0) })
        pair.a.device.setUp(false, at: pair.now)
        pair.a.runTransmit(at: pair.now.boot)
        #expect(peer.stagedCount == 0)
        pair.a.runReceive(
            [Datagram(source: pair.b.address, destination: pair.a.address, bytes: junk)], at: pair.now.boot)
        #expect(pair.a.device.record.pointee.counters.transmitDropped.load(ordering: .relaxed) == 1)
        #expect(pair.a.device.record.pointee.handshakes.count == 0)
        #expect(timers.allSatisfy { !peer.isPending($0) })
        #expect(!peer.isHandshakePending && peer.current == nil)
        let index = peer.pointee.handshake.localIndex
        #expect(index == nil)
        pair.a.device.reclaim()
        #expect(pair.a.device.nextDeadline(after: pair.now.boot) == nil)
    }

    @Test func `D12: up again in the same second, a handshake starts at once`() {
        let pair = VirtualPair()
        pair.connect()
        for _ in 0..<2 {
            pair.a.device.setUp(false, at: pair.now)
            pair.a.runTransmit(at: pair.now.boot)
            pair.a.device.setUp(true, at: pair.now)
            // Told twice, it does nothing the second time.
            pair.a.device.setUp(true, at: pair.now)
            pair.advance(seconds: 0.1)
            pair.connect()
        }
        #expect(pair.b.delivered.count == 3)
        #expect(pair.sent(.initiation, from: pair.a).count == 3)
    }

    @Test
    func `D12: tx has not seen the order to drop when the first packet after it comes: what waited goes, it stays`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        for round in 1...3 {
            pair.run(seconds: 181)
            // What waits, and then down and up with all of it in one batch of tx.
            pair.send(from: pair.a)
            #expect(peer.stagedCount == 1)
            pair.a.device.setUp(false, at: pair.now)
            pair.a.device.setUp(true, at: pair.now)
            pair.send(from: pair.a)
            #expect(peer.stagedCount == 1)
            #expect(
                pair.a.device.record.pointee.counters.transmitDropped.load(ordering: .relaxed) == UInt64(round))
            let before = pair.b.delivered.count
            pair.settle()
            #expect(pair.b.delivered.count == before + 1)
        }
        pair.a.device.setUp(false, at: pair.now)
        pair.a.runTransmit(at: pair.now.boot)
        #expect(peer.stagedCount == 0 && peer.pointee.transmitMail.pointee.isIdle)
    }

    @Test func `D12: up while up asks nobody for anything`() {
        let pair = VirtualPair(keepaliveA: 25)
        pair.settle()
        let before = pair.history.count
        pair.a.device.setUp(true, at: pair.now)
        pair.settle()
        #expect(pair.history.count == before)
    }

    @Test func `D12: a message that was taken from the queue before the interface went down is not answered`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        let path = DatagramPath(pair.a.address)
        let message = pair.a.outbox[0].bytes
        pair.b.device.setUp(false, at: pair.now)
        message.withUnsafeBytes { pair.b.device.handleHandshake($0, from: path, queued: 1, at: pair.now) }
        pair.b.takeOutgoing()
        #expect(pair.b.outbox.isEmpty)
        #expect(pair.b.peer(pair.a.publicKey).pointee.row.pointee.acceptedTimestamp == .zero)
    }

    @Test func `S8: sleep and clone clear a handshake in progress, and sleep the timer of the keys`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        for forget in [Device.forgetSessions, Device.expireSendingKeys] {
            pair.advance(seconds: 200)
            pair.send(from: pair.a)
            pair.a.runControl(at: pair.now)
            let index = peer.pointee.handshake.localIndex
            #expect(peer.isHandshakePending && index != nil)
            forget(pair.a.device)(pair.now)
            #expect(!peer.isHandshakePending)
            let entry = index.flatMap { pair.a.device.record.pointee.indices.entry($0) }
            #expect(entry == nil)
        }
        pair.advance(seconds: 1)
        pair.connect()
        #expect(peer.isPending(.zeroKeys))
        pair.a.device.forgetSessions(at: pair.now)
        #expect(!peer.isPending(.zeroKeys) && peer.current == nil)
    }

    @Test func `S8: a session that is forgotten is of no use to a loop that has it in hand, and never comes back`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.b.peer(pair.a.publicKey)
        let keypair = peer.current!
        let record = pair.b.device.record
        record.pointee.loops.pointee.wakesUp(.receive)
        pair.b.device.forgetSessions(at: pair.now)
        #expect(!keypair.maySend && !keypair.mayReceive)
        let isConfirmed = peer.pointee.lock.withLock { peer.pointee.keypairs.confirm(keypair) }
        #expect(!isConfirmed && peer.current == nil)
        record.pointee.loops.pointee.fallsAsleep(.receive)
    }

    private func restart(_ pair: VirtualPair, _ order: (Device) -> Void) {
        pair.a.restartWorker(random: .system, configure: order, at: pair.now)
    }

    private func configure(_ device: Device, _ pair: VirtualPair) {
        try? device.apply(
            VirtualPair.change(
                pair.a, peer: pair.b.publicKey, endpoint: VirtualPair.addressB, allowed: ["10.0.0.2/32"], nil,
                keepalive: 0), at: pair.now)
    }

    @Test func `a new worker calls whoever had a session, whether the interface or the configuration comes first`() {
        for upFirst in [true, false] {
            let pair = VirtualPair()
            pair.connect()
            pair.advance(seconds: 1)
            restart(pair) { device in
                if upFirst { device.setUp(true, at: pair.now) }
                configure(device, pair)
                device.finishRestore(at: pair.now)
                if !upFirst { device.setUp(true, at: pair.now) }
                #expect(device.takeOutgoing().count == 1)
            }
        }
    }

    @Test func `a new worker calls nobody whose session was forgotten`() {
        let pair = VirtualPair()
        pair.connect()
        pair.a.device.forgetSessions(at: pair.now)
        pair.advance(seconds: 10)
        restart(pair) { configure($0, pair) }
        #expect(pair.a.outbox.isEmpty)
    }

    @Test func `control handles all messages that wait, not only the first`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        let junk = [1, 0, 0, 0] + [UInt8](repeating: 0, count: 144)
        let bad = Datagram(source: pair.a.address, destination: pair.b.address, bytes: junk)
        pair.b.runReceive([bad, bad] + pair.a.outbox, at: pair.now.boot)
        pair.b.runControl(at: pair.now)
        #expect(pair.b.outbox.map(\.kind) == [.response])
    }
}
