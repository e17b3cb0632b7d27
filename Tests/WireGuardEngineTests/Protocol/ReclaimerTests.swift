import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct ReclaimerTests {
    @Test func `a removed peer is freed when both loops have let go, and not while it has mail`() {
        let pair = VirtualPair()
        pair.connect()
        let reclaimer = pair.a.device.record.pointee.reclaimer
        reclaimer.collect()
        #expect(!reclaimer.isWaiting)
        reclaimer.loops.pointee.wakesUp(.transmit)
        var change = DeviceChange()
        change.replacePeers = true
        pair.a.apply(change, at: pair.now)
        for _ in 0..<5 { reclaimer.collect() }
        #expect(reclaimer.isWaiting)
        reclaimer.loops.pointee.fallsAsleep(.transmit)
        // tx is asleep with mail: the peer waits.
        for _ in 0..<5 { reclaimer.collect() }
        #expect(reclaimer.isWaiting)
        pair.a.runTransmit(at: pair.now.boot)
        for _ in 0..<3 { reclaimer.collect() }
        #expect(!reclaimer.isWaiting)
    }

    @Test func `what a loop may hold in its batch is not freed, whatever the other does`() {
        let reclaimer = Reclaimer()
        var table = IndexTable(reclaimer: reclaimer)
        let index = table.insert(PeerPointer(bitPattern: 64)!, random: .system)
        reclaimer.loops.pointee.wakesUp(.receive)
        let held = table.entry(index)!
        table.remove(index)
        for _ in 0..<10 {
            reclaimer.loops.pointee.wakesUp(.transmit)
            reclaimer.loops.pointee.passedBoundary(.transmit)
            reclaimer.collect()
        }
        #expect(reclaimer.isWaiting)
        #expect(held.pointee.index == index)
        reclaimer.loops.pointee.passedBoundary(.receive)
        reclaimer.loops.pointee.passedBoundary(.transmit)
        reclaimer.collect()
        #expect(!reclaimer.isWaiting)
    }
}

@Suite struct SurvivorTests {
    private func restart(_ pair: VirtualPair, endpoint: Endpoint? = VirtualPair.addressB) {
        pair.a.restartWorker(
            random: .system,
            configure: { device in
                let change = VirtualPair.change(
                    pair.a, peer: pair.b.publicKey, endpoint: endpoint, allowed: ["10.0.0.2/32"], nil, keepalive: 0)
                try? device.apply(change, at: pair.now)
            }, at: pair.now)
    }

    @Test func `a new worker calls every peer that had a session at once, and keeps counters and endpoints`() {
        let pair = VirtualPair()
        pair.connect()
        let roamed = Endpoint("198.51.100.7:7")!
        pair.b.address = roamed
        pair.send(from: pair.b)
        pair.settle()
        let before = pair.a.device.status()
        pair.advance(seconds: 1)
        restart(pair)
        let after = pair.a.device.status()
        #expect(after.configuration.peers[0].endpoint == roamed)
        #expect(after.peers[pair.b.publicKey]?.receivedBytes == before.peers[pair.b.publicKey]?.receivedBytes)
        #expect(after.peers[pair.b.publicKey]?.lastHandshake == before.peers[pair.b.publicKey]?.lastHandshake)
        #expect(pair.a.outbox.map(\.kind) == [.initiation])
        pair.settle()
        #expect(pair.a.peer(pair.b.publicKey).current != nil)
        // Once restored, the configuration is asked again.
        restart(pair)
        var change = DeviceChange()
        var peer = PeerChange(publicKey: pair.b.publicKey)
        peer.endpoint = VirtualPair.addressB
        change.peers = [peer]
        pair.a.apply(change, at: pair.now)
        #expect(pair.a.device.status().configuration.peers[0].endpoint == VirtualPair.addressB)
    }

    @Test func `a table that was left half written, or is garbage, does no harm`() {
        let memory = VirtualDevice.makeSurvivorMemory(rows: 8)
        for byte in 0..<memory.count { memory[byte] = UInt8(truncatingIfNeeded: byte &* 31 &+ 7) }
        let device = VirtualDevice(privateKey: .generate(), address: VirtualPair.addressA, survivors: memory)
        let now = Moment.now
        device.apply(
            VirtualPair.change(
                device, peer: PrivateKey.generate().publicKey, endpoint: nil, allowed: ["0.0.0.0/0"], nil, keepalive: 0),
            at: now)
        device.device.setUp(true, at: now)
        device.device.finishRestore(at: now)
        #expect(device.device.status().configuration.peers.count == 1)

        let record = DatagramPathRecord()
        record.store(DatagramPath(VirtualPair.addressA))
        #expect(record.recovered?.endpoint == VirtualPair.addressA)
    }

    #if SWG_SIMULATION
        @Test func `T1: a timestamp is never lower in between two stores`() {
            let row = SurvivorRow(publicKey: PrivateKey.generate().publicKey)
            let old = TAI64N(label: 5, nanoseconds: 900)
            row.acceptedTimestamp = old
            var between: [TAI64N] = []
            withUnsafePointer(to: row) { row in
                Interleaving.withScheduler(AtEachPoint { between.append(row.pointee.acceptedTimestamp) }) {
                    row.pointee.acceptedTimestamp = TAI64N(label: 6, nanoseconds: 1)
                }
            }
            #expect(between.count == 2 && between.allSatisfy { $0 >= old })
            let now = row.acceptedTimestamp
            #expect(now == TAI64N(label: 6, nanoseconds: 1))
        }
    #endif
}

/// Looks at what another thread, or the next worker, would see.
final class AtEachPoint: InterleavingScheduler {
    private let look: () -> Void

    init(_ look: @escaping () -> Void) { self.look = look }

    func reached(_: Interleaving.Point) { look() }
}
