import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct PeerRemovalTests {
    /// A pair whose tx has peer B in hand while control removes it.
    private func removed(presharedKey: PresharedKey? = nil) -> (VirtualPair, PeerPointer) {
        let pair = VirtualPair(presharedKey: presharedKey, keepaliveA: 25)
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        pair.a.device.record.pointee.loops.pointee.wakesUp(.transmit)
        var change = DeviceChange()
        var gone = PeerChange(publicKey: pair.b.publicKey)
        gone.remove = true
        change.peers = [gone]
        pair.a.apply(change, at: pair.now)
        return (pair, peer)
    }

    @Test func `N12: the keys and timers of a removed peer go at once`() {
        let (pair, peer) = removed(presharedKey: .generate())
        #expect(peer.current == nil && peer.next == nil && peer.previous == nil)
        let presharedKey = peer.pointee.handshake.presharedKey
        #expect(presharedKey == nil)
        let timers: [PeerPointer.Timer] = [
            .retransmitHandshake, .sendKeepalive, .newHandshake, .zeroKeys, .persistentKeepalive,
        ]
        #expect(timers.allSatisfy { !peer.isPending($0) })
        let isInHeap = peer.pointee.heapIndex >= 0
        #expect(!isInHeap)
        #expect(pair.a.device.peerByKey.isEmpty && pair.a.device.peers.isEmpty)
    }

    @Test func `a loop that still has a removed peer in hand can do nothing with it`() {
        let (pair, peer) = removed()
        let record = pair.a.device.record
        var transmitter = Transmitter(device: record, jitterSeed: 1)
        Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2").withUnsafeBytes { transmitter.stage(peer, $0) }
        #expect(peer.stagedCount == 0)
        #expect(record.pointee.requestHandshake(peer, pair.now.boot) == [])
        pair.advance(seconds: 10)
        pair.a.outbox = []
        pair.a.runControl(at: pair.now)
        #expect(pair.a.outbox.isEmpty)
        record.pointee.loops.pointee.fallsAsleep(.transmit)
    }

    @Test func `T1: a worker that starts while a removed peer waits for the loops knows nothing of it`() {
        let (pair, _) = removed()
        let successor = pair.a.killed(random: .system)
        successor.apply(
            VirtualPair.change(
                successor, peer: pair.b.publicKey, endpoint: nil, allowed: ["10.0.0.2/32"], nil, keepalive: 0),
            at: pair.now)
        successor.device.finishRestore(at: pair.now)
        let status = successor.device.status()
        #expect(status.peers[pair.b.publicKey] == PeerStatus(receivedBytes: 0, sentBytes: 0))
        #expect(status.configuration.peers[0].endpoint == nil)
        pair.a.device.record.pointee.loops.pointee.fallsAsleep(.transmit)
    }

    @Test func `D12: a change of a peer asks tx to send what waits, when the interface is up`() {
        let pair = VirtualPair()
        var change = DeviceChange()
        change.peers = [PeerChange(publicKey: pair.b.publicKey)]
        pair.settle()
        #expect(!pair.a.isTransmitWoken)
        pair.a.apply(change, at: pair.now)
        #expect(pair.a.isTransmitWoken)
        pair.a.device.setUp(false, at: pair.now)
        pair.a.runControl(at: pair.now)
        pair.a.runTransmit(at: pair.now.boot)
        pair.a.apply(change, at: pair.now)
        #expect(!pair.a.isTransmitWoken)
    }
}
