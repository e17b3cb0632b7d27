import Synchronization
import Testing
import WireGuardTestSupport

@testable import WireGuardEngine

@Suite struct IndexTableTests {
    @Test func `M7: indices are uniformly random, unique, and found until removed`() {
        let reclaimer = Reclaimer()
        var table = IndexTable(reclaimer: reclaimer)
        let peer = PeerPointer(bitPattern: 64)!
        var indices: Set<UInt32> = []
        for _ in 0..<5000 { indices.insert(table.insert(peer, random: .system)) }
        #expect(indices.count == 5000)
        for index in indices { #expect(table.entry(index)?.pointee.index == index) }
        // Every bit is set about half of the time: neither sequential nor of a short register.
        for bit in 0..<32 {
            let set = indices.count { $0 >> UInt32(bit) & 1 == 1 }
            #expect((2200...2800).contains(set))
        }
        let half = indices.prefix(2500)
        for index in half { table.remove(index) }
        for index in indices { #expect((table.entry(index) == nil) == half.contains(index)) }
        reclaimer.collect()
        #expect(!reclaimer.isWaiting)
    }

    @Test func `M7: an index that is taken is drawn again`() {
        var table = IndexTable(reclaimer: Reclaimer())
        let peer = PeerPointer(bitPattern: 64)!
        let drawn = Counter()
        let random = RandomSource { bytes in
            // 7, 7, 7, 8, 8, 8, …
            bytes.storeBytes(of: 7 + drawn.value / 3, as: UInt32.self)
            drawn.value += 1
        }
        #expect(table.insert(peer, random: random) == 7)
        #expect(table.insert(peer, random: random) == 8)
    }

    private final class Counter { var value: UInt32 = 0 }

    @Test func `M7: a handshake's entry becomes its keypair's in place`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        let index = pair.a.outbox[0].bytes.withUnsafeBytes { $0.baseAddress!.littleEndian32(4) }
        let entry = pair.a.device.record.pointee.indices.entry(index)
        #expect(entry != nil)
        #expect(entry?.pointee.keypair.load(ordering: .relaxed) == nil)
        pair.settle()
        #expect(pair.a.device.record.pointee.indices.entry(index) == entry)
        let keypair = entry?.pointee.keypair.load(ordering: .relaxed)
        #expect(keypair != nil)
        #expect(keypair?.pointee.localIndex == index)
    }
}
