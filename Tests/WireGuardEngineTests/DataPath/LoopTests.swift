import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

/// Both loops as they run in the worker, over real UDP sockets.
@Suite struct LoopTests {
    static func counted(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

    static let builders: [PacketBuilder] = [true, false].flatMap { isTCP in
        [PacketBuilder(), PacketBuilder.ipv6()].map { template in
            var builder = template
            builder.isTCP = isTCP
            builder.payload = counted(30_000)
            return builder
        }
    }

    /// A small packet that a test recognises.
    static func small(_ number: Int) -> [UInt8] {
        var builder = PacketBuilder()
        builder.isTCP = false
        builder.identification = UInt16(number)
        builder.destinationPort = 1000
        builder.payload = counted(number)
        return builder.build()
    }

    /// Version, protocol and destination port.
    private static func flow(_ packet: [UInt8]) -> [UInt8] {
        packet[0] >> 4 == 4 ? [4, packet[9]] + packet[22..<24] : [6, packet[6]] + packet[42..<44]
    }

    private static func pair(virtioBytes: Int = 10) throws -> (LoopEnd, LoopEnd) {
        let first = try LoopEnd(virtioBytes: virtioBytes)
        let second = try LoopEnd(virtioBytes: virtioBytes)
        try first.connect(to: second.publicKey, at: second.address)
        try second.connect(to: first.publicKey, at: first.address)
        return (first, second)
    }

    /// Sends a small packet from `first` to `second`: afterwards they have a session.
    private static func meet(_ first: LoopEnd, _ second: LoopEnd, also: () -> Void = {}) throws {
        first.put(small(9))
        var arrived: [[UInt8]] = []
        try #require(
            work([first, second], also: also) {
                arrived += second.takenPackets()
                return arrived == [small(9)]
            }, "no session")
    }

    @Test(arguments: [0, 10, 12]) func `S5, D17, D18: packets small and large pass both loops whole and in order`(
        _ virtioBytes: Int
    ) throws {
        let (first, second) = try LoopTests.pair(virtioBytes: virtioBytes)
        try LoopTests.meet(first, second)
        for (source, target) in [(first, second), (second, first)] {
            var wanted: [[UInt8]] = []
            for number in 20..<60 {
                wanted.append(LoopTests.small(number))
                source.put(LoopTests.small(number))
            }
            if virtioBytes > 0 {
                for builder in LoopTests.builders {
                    wanted += builder.segments(of: 1360)
                    source.put(builder.build(complete: false), builder.virtioHeader(segment: 1360))
                }
            }
            var arrived: [[UInt8]] = []
            let isComplete = work([first, second]) {
                arrived += target.takenPackets()
                return arrived.count >= wanted.count
            }
            #expect(isComplete)
            // Order holds within a flow.
            #expect(
                Dictionary(grouping: arrived, by: LoopTests.flow) == Dictionary(grouping: wanted, by: LoopTests.flow))
            #expect(source.transmitErrors == 0 && target.receiveDropped == 0)
        }
    }

    @Test func `bad tags in a train: each such packet is dropped alone and counted, the rest is delivered`() throws {
        try intercepted { builder, datagrams, interceptor in
            let size = datagrams[0].count
            var changed = datagrams
            var wanted = builder.segments(of: 1360)
            // The tag, the text, the counter.
            for (index, offset) in [(10, 9), (7, 20), (3, size - 1)] {
                changed[index][offset] ^= 1
                wanted.remove(at: index)
            }
            interceptor.send(train: Array(changed.joined()), segmentBytes: size)
            return [(wanted, 3)]
        }
    }

    @Test func `trains of unequal segments: what is no message is dropped and counted, the rest is delivered`() throws {
        try intercepted { builder, datagrams, interceptor in
            let size = datagrams[0].count
            let pieces = builder.segments(of: 1360)
            var stranger = datagrams[5]
            // A receiver index that nobody has.
            for offset in 4..<8 { stranger[offset] = ~stranger[offset] }
            interceptor.send(
                train: datagrams[0] + [UInt8](repeating: 0x77, count: size) + datagrams[1] + stranger + datagrams[2]
                    + datagrams[3].prefix(50), segmentBytes: size)
            // Cut in the wrong places: a message too short, then what begins in the middle of one.
            interceptor.send(train: datagrams[6] + datagrams[7], segmentBytes: size - 16)
            // The shorter message first, which no sender's kernel would do.
            interceptor.send(train: datagrams[22], segmentBytes: datagrams[22].count)
            interceptor.send(train: datagrams[8] + datagrams[9], segmentBytes: size)
            return [([pieces[0], pieces[1], pieces[2], pieces[22], pieces[8], pieces[9]], 3 + 3)]
        }
    }

    /// The datagrams of one super-packet of 23 segments are kept on their way; `send` passes on what it likes, and
    /// says which packets have to arrive and how many have to be counted as dropped.
    private func intercepted(
        _ send: (PacketBuilder, [[UInt8]], Interceptor) throws -> [([[UInt8]], Int)]
    ) throws {
        let first = try LoopEnd()
        let second = try LoopEnd()
        let interceptor = try Interceptor(between: first.address, and: second.address)
        try first.connect(to: second.publicKey, at: interceptor.address)
        try second.connect(to: first.publicKey, at: interceptor.address)
        try LoopTests.meet(first, second, also: interceptor.run)
        interceptor.keeps = true
        var builder = PacketBuilder()
        builder.payload = LoopTests.counted(1360 * 22 + 700)
        first.put(builder.build(complete: false), builder.virtioHeader(segment: 1360))
        try #require(work([first, second], also: interceptor.run) { interceptor.kept.count >= 23 })
        let before = second.receiveDropped
        for (wanted, dropped) in try send(builder, interceptor.kept, interceptor) {
            var arrived: [[UInt8]] = []
            let isComplete = work([first, second]) {
                arrived += second.takenPackets()
                return arrived.count >= wanted.count && second.receiveDropped - before >= dropped
            }
            #expect(isComplete, "\(arrived.count) packets, \(second.receiveDropped - before) dropped")
            #expect(arrived == wanted)
            #expect(second.receiveDropped - before == dropped)
        }
    }

    @Test func `GSO headers that lie: such a packet is dropped and counted, the next one is delivered`() throws {
        let (first, second) = try LoopTests.pair()
        try LoopTests.meet(first, second)
        var number = 20
        for (name, lie) in LoopTests.lies {
            let before = first.transmitErrors
            first.put(raw: lie)
            first.put(LoopTests.small(number))
            var arrived: [[UInt8]] = []
            let isComplete = work([first, second]) {
                arrived += second.takenPackets()
                return arrived.last == LoopTests.small(number)
            }
            #expect(isComplete, "nothing after: \(name)")
            #expect(arrived == [LoopTests.small(number)], "\(name)")
            #expect(first.transmitErrors == before + 1, "not counted: \(name)")
            number += 1
        }
    }

    /// What the kernel would never hand over, header included.
    static let lies: [(String, [UInt8])] = {
        var tcp = PacketBuilder()
        tcp.payload = counted(5000)
        var udp = tcp
        udp.isTCP = false
        func message(
            _ builder: PacketBuilder, _ change: (inout VirtioHeader, inout [UInt8]) -> Void
        ) -> [UInt8] {
            var header = builder.virtioHeader(segment: 1360)
            var packet = builder.build(complete: false)
            change(&header, &packet)
            var bytes = [UInt8](repeating: 0, count: 10)
            bytes.withUnsafeMutableBytes { room in if let base = room.baseAddress { header.write(to: base, size: 10) } }
            return bytes + packet
        }
        var six = PacketBuilder.ipv6()
        six.payload = counted(5000)
        return [
            ("shorter than its virtio header", [0, 0, 0, 0, 0]),
            ("nothing behind the header", [UInt8](repeating: 0, count: 10)),
            ("a segmentation that was not asked for", [1, 3] + message(tcp) { _, _ in }.dropFirst(2)),
            ("segments of 0 bytes", message(tcp) { header, _ in header.segmentBytes = 0 }),
            ("no checksum to be filled", message(tcp) { header, _ in header.needsChecksum = false }),
            ("transport inside the IP header", message(tcp) { header, _ in header.checksumStart = 10 }),
            ("transport behind the end", message(tcp) { header, _ in header.checksumStart = 60_000 }),
            (
                "transport at the very end",
                message(tcp) { header, packet in header.checksumStart = UInt16(packet.count) }
            ),
            ("a checksum somewhere else", message(tcp) { header, _ in header.checksumOffset = 2 }),
            ("UDP as TCP", message(udp) { header, _ in header.segmentation = .tcp4 }),
            ("IPv4 as IPv6", message(tcp) { header, _ in header.segmentation = .tcp6 }),
            ("IPv6 as IPv4", message(six) { header, _ in header.segmentation = .tcp4 }),
            ("a TCP header of 0 bytes", message(tcp) { _, packet in packet[32] = 0 }),
            ("a TCP header beyond the end", message(PacketBuilder()) { _, packet in packet[32] = 0xf0 }),
            ("an IP length beyond the end", message(tcp) { _, packet in packet[2] = 0xff }),
            ("an IP length of 0", message(tcp) { _, packet in (packet[2], packet[3]) = (0, 0) }),
            ("an IP header of 16 bytes", message(tcp) { _, packet in packet[0] = 0x44 }),
            ("IP version 7", message(tcp) { _, packet in packet[0] = 0x75 }),
            (
                "a lone packet's checksum behind its end",
                message(tcp) { header, _ in
                    header.segmentation = .none
                    header.checksumOffset = 60_000
                }
            ),
        ]
    }()

    @Test func `packets larger than the MTU are dropped and counted, the rest of the train is delivered`() throws {
        let (first, second) = try LoopTests.pair()
        try LoopTests.meet(first, second)
        var builder = PacketBuilder()
        builder.payload = LoopTests.counted(1400 * 3 + 500)
        let before = first.transmitErrors
        // 1440 bytes each, but the last.
        first.put(builder.build(complete: false), builder.virtioHeader(segment: 1400))
        var alone = PacketBuilder()
        alone.payload = LoopTests.counted(1381)
        first.put(alone.build())
        alone.payload = LoopTests.counted(1380)
        first.put(alone.build())
        var arrived: [[UInt8]] = []
        let isComplete = work([first, second]) {
            arrived += second.takenPackets()
            return arrived.count >= 2
        }
        #expect(isComplete)
        #expect(arrived == [builder.segments(of: 1400)[3], alone.build()])
        #expect(first.transmitErrors == before + 4)
        // The sender is told what would fit: once for the train, once for the packet.
        let answers = first.taken().map { Array($0[10...]) }
        #expect(answers.map { Array($0[20..<22]) } == [[3, 4], [3, 4]])
        #expect(answers.allSatisfy { Array($0[26..<28]) == [0x05, 0x8c] }, "not 1420")
    }
}
