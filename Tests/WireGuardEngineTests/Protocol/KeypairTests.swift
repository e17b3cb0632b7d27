import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct KeypairTests {
    private func slots(_ device: VirtualDevice, _ other: VirtualDevice) -> (
        current: KeypairPointer?, previous: KeypairPointer?, next: KeypairPointer?
    ) {
        let keypairs = device.peer(other.publicKey)
        return (
            keypairs.current, keypairs.previous,
            keypairs.next
        )
    }

    /// A whole handshake begun by `device`, up to and including the response; data is lost.
    private func handshake(_ pair: VirtualPair, from device: VirtualDevice) {
        pair.passes = { $0.kind != .data }
        pair.advance(seconds: 6)
        device.device.expireSendingKeys(at: pair.now)
        pair.send(from: device)
        pair.settle()
        pair.passes = { _ in true }
    }

    @Test func `S1: the initiator's new session is current, the one before it previous, and the third is gone`() {
        let pair = VirtualPair()
        pair.connect()
        let first = slots(pair.a, pair.b)
        #expect(first.current != nil && first.previous == nil && first.next == nil)
        let firstIndex = first.current?.pointee.localIndex
        handshake(pair, from: pair.a)
        let second = slots(pair.a, pair.b)
        #expect(second.current != first.current && second.previous == first.current && second.next == nil)
        handshake(pair, from: pair.a)
        let third = slots(pair.a, pair.b)
        #expect(third.previous == second.current)
        #expect(third.current != second.current)
        // Nothing is received with the first any more, and nothing of it is kept.
        let entry = firstIndex.flatMap { pair.a.device.record.pointee.indices.entry($0) }
        #expect(entry == nil)
        pair.a.device.reclaim()
        #expect(!pair.a.device.record.pointee.reclaimer.isWaiting)
    }

    @Test func `S1, S2: the responder's new session waits in next, its current one stays, and data moves it on`() {
        let pair = VirtualPair()
        pair.connect()
        let first = slots(pair.b, pair.a)
        #expect(first.current != nil && first.previous == nil && first.next == nil)
        handshake(pair, from: pair.a)
        let second = slots(pair.b, pair.a)
        #expect(second.current == first.current && second.next != nil && second.previous == nil)
        // Another one replaces it.
        handshake(pair, from: pair.a)
        let third = slots(pair.b, pair.a)
        #expect(third.current == first.current && third.next != second.next && third.previous == nil)
        pair.send(from: pair.a)
        pair.settle()
        let fourth = slots(pair.b, pair.a)
        #expect(fourth.current == third.next && fourth.previous == first.current && fourth.next == nil)
    }

    @Test func `S1: an initiator with an unconfirmed session as responder keeps that as previous`() {
        let pair = VirtualPair(endpointOfA: true)
        pair.connect()
        handshake(pair, from: pair.b)
        let before = slots(pair.a, pair.b)
        #expect(before.next != nil)
        handshake(pair, from: pair.a)
        let after = slots(pair.a, pair.b)
        #expect(after.previous == before.next && after.next == nil && after.current != before.current)
    }

    @Test func `S2: the responder does not send on a session before the initiator has`() {
        let pair = VirtualPair(endpointOfA: true)
        pair.passes = { $0.kind != .data }
        pair.connect()
        #expect(slots(pair.b, pair.a).current == nil)
        pair.send(from: pair.b)
        pair.settle()
        #expect(pair.sent(.data, from: pair.b).isEmpty)
        #expect(pair.b.peer(pair.a.publicKey).stagedCount == 1)
        pair.passes = { _ in true }
        pair.send(from: pair.a)
        pair.settle()
        // Confirmation flushes what was staged and completes the handshake.
        #expect(pair.a.delivered.count == 1)
        #expect(pair.b.device.status().peers[pair.a.publicKey]?.lastHandshake == pair.now.wall)
    }

    @Test func `S3: without staged data the initiator confirms with an empty packet`() {
        let pair = VirtualPair(keepaliveA: 25, up: false)
        pair.a.device.setUp(true, at: pair.now)
        pair.b.device.setUp(true, at: pair.now)
        pair.settle()
        #expect(pair.history.map(\.datagram.kind) == [.initiation, .response, .data])
        #expect(pair.history[2].datagram.bytes.count == 32)
        #expect(pair.b.delivered.isEmpty)
    }

    @Test func `S4: a session is not received with after 180 s`() {
        let pair = VirtualPair()
        pair.connect()
        let keypair = slots(pair.a, pair.b).current!
        let sealed = pair.sent(.data, from: pair.a)[0].datagram
        // The same key, a later counter.
        let reservation = keypair.counter
        #expect(reservation == 1)
        pair.passes = { _ in false }
        pair.send(from: pair.a)
        pair.settle()
        let late = pair.sent(.data, from: pair.a)[1].datagram
        pair.advance(seconds: 180)
        pair.b.runReceive([sealed, late], at: pair.now.boot)
        #expect(pair.b.delivered.count == 1)
    }

    @Test func `S4: a message at the counter limit is refused even with a good tag`() {
        let pair = VirtualPair()
        pair.connect()
        let keypair = slots(pair.a, pair.b).current!
        keypair.counter = ProtocolLimits.rejectAfterMessages - 2
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.b.delivered.count == 2)
    }

    @Test func `S5: no nonce at or over the limit, not even for a part of a train; the packets wait for a new session`()
    {
        let pair = VirtualPair()
        pair.connect()
        let keypair = slots(pair.a, pair.b).current!
        keypair.counter = ProtocolLimits.rejectAfterMessages - 2
        var counters: [UInt64] = []
        pair.a.observe = { if case .seals(keypair, let counter, _) = $0 { counters.append(counter) } }
        pair.advance(seconds: 6)
        let packet = Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2")
        pair.a.runTransmit([packet, packet, packet], at: pair.now.boot)
        #expect(counters.isEmpty)
        #expect(!keypair.maySend)
        #expect(pair.a.peer(pair.b.publicKey).stagedCount == 3)
        pair.settle()
        #expect(pair.b.delivered.count == 4)
        #expect(slots(pair.a, pair.b).current != keypair)
    }

    @Test func `S5: a session of 180 s is not sent with; a handshake starts and the packet waits`() {
        let pair = VirtualPair()
        pair.connect()
        pair.run(seconds: 180)
        pair.send(from: pair.a)
        #expect(pair.a.outbox.isEmpty)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
        #expect(pair.b.delivered.count == 2)
    }

    @Test func `S7: after a change of our private key a peer equal to us is gone and a handshake starts at once`() {
        let pair = VirtualPair()
        pair.connect()
        let before = slots(pair.a, pair.b).current!
        let newKey = PrivateKey.generate()
        var add = DeviceChange()
        add.peers = [PeerChange(publicKey: newKey.publicKey)]
        pair.a.apply(add, at: pair.now)
        #expect(pair.a.device.peers.count == 2)
        var change = DeviceChange()
        change.privateKey = .set(newKey)
        pair.a.apply(change, at: pair.now)
        #expect(pair.a.device.peers.count == 1)
        #expect(!before.maySend)
        #expect(before.mayReceive)
        // Receiving goes on.
        pair.send(from: pair.b)
        pair.settle()
        #expect(pair.a.delivered.count == 1)
        // B learns the new key, and the next packet of A starts a handshake although 5 s have not passed.
        var tell = VirtualPair.change(
            pair.b, peer: newKey.publicKey, endpoint: nil, allowed: ["10.0.0.1/32"], nil, keepalive: 0)
        tell.privateKey = nil
        pair.b.apply(tell, at: pair.now)
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
        #expect(pair.b.delivered.count == 2)
    }

    @Test func `S7, D12: without a private key a packet waits, and with the first one asks for a handshake at once`() {
        let pair = VirtualPair()
        var change = DeviceChange()
        change.privateKey = .remove
        pair.a.apply(change, at: pair.now)
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.history.isEmpty)
        change.privateKey = .set(pair.a.privateKey)
        pair.a.apply(change, at: pair.now)
        pair.settle()
        #expect(pair.b.delivered.count == 1)
    }

    @Test func `S7: the same private key again changes nothing, a new preshared key not the live session`() {
        let pair = VirtualPair()
        pair.connect()
        let before = slots(pair.a, pair.b).current!
        var change = DeviceChange()
        change.privateKey = .set(pair.a.privateKey)
        var peer = PeerChange(publicKey: pair.b.publicKey)
        peer.presharedKey = .set(.generate())
        change.peers = [peer]
        pair.a.apply(change, at: pair.now)
        #expect(slots(pair.a, pair.b).current == before)
        #expect(before.maySend)
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.b.delivered.count == 2)
    }

    @Test func `S8: sleep forgets the sessions, a clone only stops sending`() {
        let pair = VirtualPair()
        pair.connect()
        let keypair = slots(pair.a, pair.b).current!
        pair.a.device.expireSendingKeys(at: pair.now)
        #expect(slots(pair.a, pair.b).current == keypair)
        #expect(!keypair.maySend)
        pair.b.device.forgetSessions(at: pair.now)
        let after = slots(pair.b, pair.a)
        #expect(after.current == nil && after.previous == nil && after.next == nil)
        pair.advance(seconds: 1)
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.b.delivered.count == 2)
    }

    @Test func `S8: the clocks tell of a sleep and of a restored image`() {
        var watch = ClockWatch()
        let second = ProtocolLimits.nanosecondsPerSecond
        var answers = [watch.observe(boot: BootTime(nanoseconds: 100 * second), monotonicNanoseconds: 90 * second)]
        answers.append(watch.observe(boot: BootTime(nanoseconds: 200 * second), monotonicNanoseconds: 190 * second))
        answers.append(watch.observe(boot: BootTime(nanoseconds: 300 * second), monotonicNanoseconds: 200 * second))
        answers.append(watch.observe(boot: BootTime(nanoseconds: 301 * second), monotonicNanoseconds: 201 * second))
        answers.append(watch.observe(boot: BootTime(nanoseconds: 250 * second), monotonicNanoseconds: 150 * second))
        #expect(answers == [false, false, true, false, true])
        // The clocks are read one after the other: a small difference either way is neither.
        var steady = ClockWatch()
        var noises: [Bool] = []
        for noise: UInt64 in [500, 0, 1000, 999_999_000, 0] {
            let boot = BootTime(nanoseconds: 100 * second + noise)
            noises.append(steady.observe(boot: boot, monotonicNanoseconds: 90 * second))
        }
        #expect(noises == [false, false, false, false, false])
    }

    @Test func `S7: a session that waits for its confirmation is not sent with either, once sending has expired`() {
        let pair = VirtualPair()
        pair.passes = { $0.kind != .data }
        pair.connect()
        let next = slots(pair.b, pair.a).next!
        pair.b.device.expireSendingKeys(at: pair.now)
        #expect(!next.maySend && next.mayReceive)
        pair.passes = { _ in true }
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.b.delivered.count == 1 && slots(pair.b, pair.a).current == next)
    }

    @Test func `S4: rx takes no key that was invalidated, is too old, or whose peer is gone`() {
        let pair = VirtualPair()
        pair.connect()
        let keypair = slots(pair.b, pair.a).current!
        let receiver = Receiver(device: pair.b.device.record)
        func found(_ now: BootTime) -> Bool { receiver.keypair(keypair.pointee.localIndex, now: now) == keypair }
        let now = pair.now.boot
        #expect(found(now))
        keypair.pointee.peer.pointee.isRemoved.store(true, ordering: .relaxed)
        #expect(!found(now))
        keypair.pointee.peer.pointee.isRemoved.store(false, ordering: .relaxed)
        keypair.pointee.mayReceive.store(false, ordering: .relaxed)
        #expect(!found(now))
        keypair.pointee.mayReceive.store(true, ordering: .relaxed)
        #expect(!found(now.advanced(byNanoseconds: 180_000_000_000)))
        // Once too old, for ever.
        #expect(!keypair.mayReceive)
        #expect(!found(now))
    }
}
