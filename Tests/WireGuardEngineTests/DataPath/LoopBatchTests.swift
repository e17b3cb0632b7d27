import CLinux
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import WireGuardEngine

/// What both loops make of batches whose contents a test has chosen.
@Suite struct LoopBatchTests {
    private static func pair() throws -> (LoopEnd, LoopEnd) {
        let (first, second) = (try LoopEnd(), try LoopEnd())
        try first.connect(to: second.publicKey, at: second.address)
        try second.connect(to: first.publicKey, at: first.address)
        return (first, second)
    }

    private static func peer(of end: LoopEnd) -> PeerPointer { end.device.peers[0] }

    private func expect(
        _ wanted: [[UInt8]], at end: LoopEnd, among ends: [LoopEnd], also: () -> Void = {},
        _ comment: Comment? = nil
    ) {
        var arrived: [[UInt8]] = []
        let isComplete = work(ends, also: also) {
            arrived += end.takenPackets()
            return arrived.count >= wanted.count
        }
        #expect(isComplete && arrived == wanted, comment)
    }

    private func meet(_ first: LoopEnd, _ second: LoopEnd, also: () -> Void = {}) {
        first.put(LoopTests.small(9))
        expect([LoopTests.small(9)], at: second, among: [first, second], also: also, "no session")
    }

    @Test func `D5, D16: in one batch each packet gets the marks of its own datagram, not those of the first`() throws {
        let (first, second) = (try LoopEnd(), try LoopEnd())
        let interceptor = try Interceptor(between: first.address, and: second.address)
        try first.connect(to: second.publicKey, at: interceptor.address)
        try second.connect(to: first.publicKey, at: interceptor.address)
        meet(first, second, also: interceptor.run)
        interceptor.keeps = true
        var builder = PacketBuilder()
        builder.trafficClass = 0xb8 | 2
        builder.payload = LoopTests.counted(1360 * 5)
        first.put(builder.build(complete: false), builder.virtioHeader(segment: 1360))
        try #require(work([first, second], also: interceptor.run) { interceptor.kept.count >= 5 })
        second.holdReceiving()
        usleep(20_000)
        // ECT(0) meets nothing, congestion, nothing, ECT(1), and congestion under another DSCP.
        for (datagram, trafficClass) in zip(interceptor.kept, [2, 3, 0, 1, 0x8b] as [UInt8]) {
            interceptor.send(train: datagram, segmentBytes: datagram.count, trafficClass: trafficClass)
        }
        second.resumeReceiving()
        let wanted = ([2, 3, 2, 1, 3] as [UInt8]).enumerated().map { index, congestion in
            var piece = builder
            piece.trafficClass = 0xb8 | congestion
            return piece.segments(of: 1360)[index]
        }
        expect(wanted, at: second, among: [first, second], also: interceptor.run)
    }

    @Test func `R4: each packet that has to wait starts the count of attempts afresh, not the first alone`() throws {
        let (first, second) = try LoopBatchTests.pair()
        second.holdReceiving()
        first.put(LoopTests.small(20))
        let peer = LoopBatchTests.peer(of: first)
        try #require(work([first, second]) { peer.isPending(.retransmitHandshake) })
        for number in 21..<24 {
            peer.pointee.timers.handshakeAttempts.store(7, ordering: .relaxed)
            first.put(LoopTests.small(number))
            #expect(work([first, second]) { peer.attempts == 0 }, "packet \(number)")
        }
        second.resumeReceiving()
        expect((20..<24).map { LoopTests.small($0) }, at: second, among: [first, second])
    }

    @Test func `D12: a packet that comes when the interface is up again is not dropped with those of before`() throws {
        let (first, second) = try LoopBatchTests.pair()
        meet(first, second)
        for number in 30..<40 {
            // tx is not told: it finds the order to drop and the packet in the same moment.
            first.device.setUp(false, at: .now)
            first.device.setUp(true, at: .now)
            first.put(LoopTests.small(number))
            expect([LoopTests.small(number)], at: second, among: [first, second], "round \(number)")
            // Two initiations within 20 ms would be one too many (T2).
            usleep(25_000)
        }
    }

    @Test func `D16: hundreds of small segments in one packet pass both loops, more than a batch or a run holds`()
        throws
    {
        let (first, second) = try LoopBatchTests.pair()
        meet(first, second)
        for template in LoopTests.builders {
            // Not a multiple, so that the last one is shorter.
            let wanted = template.segments(of: 70)
            #expect(wanted.count > 256)
            first.put(template.build(complete: false), template.virtioHeader(segment: 70))
            expect(wanted, at: second, among: [first, second])
        }
        #expect(first.transmitErrors == 0 && second.receiveDropped == 0)
    }

    @Test func `D11: the loops count whole messages, padding and overhead included, and every authentic packet`() throws
    {
        let (first, second) = try LoopBatchTests.pair()
        meet(first, second)
        func sent(_ end: LoopEnd) -> UInt64 {
            LoopBatchTests.peer(of: end).pointee.row.pointee.sentBytes.load(ordering: .relaxed)
        }
        func received(_ end: LoopEnd) -> UInt64 {
            LoopBatchTests.peer(of: end).pointee.row.pointee.receivedBytes.load(ordering: .relaxed)
        }
        func authentic(_ end: LoopEnd) -> UInt64 { end.shared.facts.pointee.authenticated.load(ordering: .relaxed) }
        // The confirmation of the session may still be on its way.
        try #require(work([first, second]) { sent(first) == received(second) && sent(second) == received(first) })
        let before = (sent(first), sent(second), authentic(second))
        var builder = PacketBuilder()
        builder.payload = LoopTests.counted(1361 * 7 + 100)
        first.put(builder.build(complete: false), builder.virtioHeader(segment: 1361))
        // Seven texts of 1401 bytes and one of 140, padded to 1408 and 144.
        let wireBytes: UInt64 = 7 * (1408 + 32) + 144 + 32
        expect(builder.segments(of: 1361), at: second, among: [first, second])
        #expect(
            work([first, second]) { received(second) == before.0 + wireBytes && sent(first) == before.0 + wireBytes })
        #expect(work([first, second]) { authentic(second) == before.2 + 8 })
        #expect(sent(second) == before.1)
    }

    @Test func `D15: what tx has learnt of old sockets and routes it forgets with them`() throws {
        let (first, second) = try LoopBatchTests.pair()
        meet(first, second)
        second.holdReceiving()
        usleep(20_000)
        _ = try second.takeHeld()
        var builder = PacketBuilder()
        builder.payload = LoopTests.counted(1360 * 10)
        func shape() throws -> [Int] {
            first.put(builder.build(complete: false), builder.virtioHeader(segment: 1360))
            var datagrams: [Int] = []
            var failure: (any Error)?
            let isComplete = work([first]) {
                do {
                    datagrams += try second.takeHeld().map { $0.byteCount / $0.segmentBytes }
                } catch { failure = error }
                return failure != nil || datagrams.reduce(0, +) >= 10
            }
            #expect(isComplete)
            if let failure { throw failure }
            return datagrams
        }
        #expect(try shape() == [10])
        // Segmentation wants checksums.
        func setChecksums(_ on: Bool) {
            var off: Int32 = on ? 0 : 1
            setsockopt(first.sockets.ipv4, SOL_SOCKET, SO_NO_CHECK, &off, socklen_t(MemoryLayout<Int32>.size))
        }
        setChecksums(false)
        #expect(try shape() == [Int](repeating: 1, count: 10))
        setChecksums(true)
        #expect(try shape() == [Int](repeating: 1, count: 10), "for a minute it is believed")
        first.device.record.pointee.pathGeneration.wrappingAdd(1, ordering: .relaxed)
        #expect(try shape() == [10])
    }
}
