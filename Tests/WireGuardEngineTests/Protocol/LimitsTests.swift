import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// The numbers of the kernel's messages.h, written out: a constant that is wrong makes every test that uses it right.
@Suite struct LimitsTests {
    @Test func `R1 to R9, C2, C4, T2, D7, C5: the times and counts are the kernel's`() {
        let second: UInt64 = 1_000_000_000
        #expect(ProtocolLimits.rekeyAfterTime == 120 * second && ProtocolLimits.rejectAfterTime == 180 * second)
        #expect(ProtocolLimits.rekeyTimeout == 5 * second && ProtocolLimits.rekeyTimeoutJitter == 333_000_000)
        #expect(ProtocolLimits.keepaliveTimeout == 10 * second && ProtocolLimits.zeroKeysAfter == 540 * second)
        #expect(ProtocolLimits.lastMinuteRekeyAge == 165 * second && ProtocolLimits.maximumTimerHandshakes == 18)
        #expect(ProtocolLimits.cookieSecretMaximumAge == 120 * second)
        #expect(ProtocolLimits.cookieSecretLatency == 5 * second)
        #expect(ProtocolLimits.initiationInterval == 20_000_000)
        #expect(ProtocolLimits.maximumStagedPackets == 128 && ProtocolLimits.handshakeQueueCapacity == 4096)
        #expect(ProtocolLimits.paddingMultiple == 16)
        #expect(RateLimiter.packetCost == second / 20 && RateLimiter.maximumTokens == second / 4)
        #expect(RateLimiter.maximumSources == 65_536)
    }

    @Test func `S4, S5, S6: REKEY_AFTER_MESSAGES is 2^60, REJECT_AFTER_MESSAGES 2^64 - 8130, the window 8128`() {
        #expect(ProtocolLimits.rekeyAfterMessages == 1_152_921_504_606_846_976)
        // U64_MAX - COUNTER_WINDOW_SIZE - 1, a little more than the 2^64 - 2^13 - 1 of the whitepaper.
        #expect(ProtocolLimits.rejectAfterMessages == 18_446_744_073_709_543_486)
        #expect(ReplayWindow.usableBits == 8128)
    }

    @Test func `S5: the last nonce of a key is one below the limit, exactly`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        var transmitter = Transmitter(device: pair.a.device.record, jitterSeed: 1)
        let keypair = peer.current!
        for (counter, count, first) in [
            (18_446_744_073_709_543_485, 1, 18_446_744_073_709_543_485), (18_446_744_073_709_543_476, 10, nil),
            (18_446_744_073_709_543_476, 11, nil), (18_446_744_073_709_543_486, 1, nil), (.max, 1, nil),
        ] as [(UInt64, Int, UInt64?)] {
            keypair.pointee.maySend.store(true, ordering: .relaxed)
            keypair.counter = counter
            let reservation = transmitter.reserve(peer, count: count, now: pair.now.boot)
            // Ten from …476 on end at …485.
            let wanted = count == 10 ? counter : first
            #expect(reservation?.firstCounter == wanted, "\(count) from \(counter)")
            #expect(keypair.maySend == (wanted != nil))
        }
    }

    /// Each side, as initiator and responder, a second after its session was made.
    @Test(arguments: [true, false])
    func `S5: a session is renewed after its 2^60th message, by whoever sends it, and not before`(_ byInitiator: Bool) {
        let pair = VirtualPair()
        pair.connect()
        // R4: no initiation within five seconds of the last handshake.
        pair.advance(seconds: 6)
        let (sender, other) = byInitiator ? (pair.a, pair.b) : (pair.b, pair.a)
        pair.send(from: sender)
        pair.settle()
        let keypair = sender.peer(other.publicKey).current!
        #expect(keypair.pointee.isInitiator == byInitiator)
        keypair.counter = 1_152_921_504_606_846_975
        let before = pair.sent(.initiation, from: sender).count
        pair.send(from: sender)
        pair.settle()
        #expect(keypair.counter == 1_152_921_504_606_846_976)
        #expect(pair.sent(.initiation, from: sender).count == before, "the counter has not passed it")
        pair.send(from: sender)
        pair.settle()
        #expect(pair.sent(.initiation, from: sender).count == before + 1)
        #expect(sender.peer(other.publicKey).current != keypair, "and the new session takes over")
    }

    @Test func `A3: 2^20 peers on one device, and not one more`() throws {
        #expect(ProtocolLimits.maximumPeers == 1_048_576 && Monitor.peerCapacity == 1_048_576)
        let pair = VirtualPair()
        let device = pair.a.device
        let known = device.peers
        // As many as there may be, but for one: nothing but their number is asked.
        device.peers += [PeerPointer](repeating: known[0], count: 1_048_576 - 1 - known.count)
        var change = DeviceChange()
        change.peers = [PeerChange(publicKey: PrivateKey.generate().publicKey)]
        #expect(throws: Never.self) { try device.apply(change, at: pair.now) }
        let last = try #require(device.peers.last)
        change.peers = [PeerChange(publicKey: PrivateKey.generate().publicKey)]
        #expect(throws: DeviceError.tooManyPeers) { try device.apply(change, at: pair.now) }
        device.peers = known + [last]
        #expect(device.peerByKey.count == known.count + 1)
    }

    @Test func `D12: a packet that is ahead of the news that the interface is up is not lost`() {
        let pair = VirtualPair(up: false)
        pair.b.device.setUp(true, at: pair.now)
        let packets = (0..<3).map { Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: 40 + $0) }
        for packet in packets { pair.send(from: pair.a, packet) }
        pair.settle()
        #expect(pair.history.isEmpty && pair.b.delivered.isEmpty)
        #expect(pair.a.peer(pair.b.publicKey).stagedCount == 3)
        pair.a.device.setUp(true, at: pair.now)
        pair.settle()
        #expect(pair.b.delivered == packets)
        let dropped = pair.a.device.record.pointee.counters.transmitDropped.load(ordering: .relaxed)
        #expect(dropped == 0)
    }
}
