import CLinux
import Glibc
import Testing

@testable import WireGuardEngine

/// Keeps what is written: virtio header and packet.
struct ListSink: PacketSink {
    var virtioBytes = 10
    var written: [(header: VirtioHeader, packet: [UInt8])] = []

    mutating func write(_ pieces: UnsafeMutablePointer<iovec>, _ count: Int) {
        var bytes: [UInt8] = []
        for index in 0..<count {
            bytes += UnsafeRawBufferPointer(start: pieces[index].iov_base, count: pieces[index].iov_len)
        }
        let header = bytes.withUnsafeBytes { $0.baseAddress.flatMap { VirtioHeader(reading: $0) } }
        written.append((header ?? VirtioHeader(), Array(bytes[virtioBytes...])))
    }
}

/// Feeds packets as they lie in a receive buffer, sixteen bytes of header before each.
func coalesce(_ packets: [[UInt8]], joinsUDP: Bool = true) -> [(header: VirtioHeader, packet: [UInt8])] {
    var buffer: [UInt8] = []
    var places: [Int] = []
    for packet in packets {
        buffer += [UInt8](repeating: 0xaa, count: 16)
        places.append(buffer.count)
        buffer += packet
    }
    return buffer.withUnsafeMutableBytes { bytes in
        var coalescer = SegmentCoalescer(sink: ListSink(), joinsTCP: true, joinsUDP: joinsUDP)
        for (place, packet) in zip(places, packets) {
            guard let base = bytes.baseAddress, let inner = InnerPacket(base + place, packet.count) else { continue }
            coalescer.add(base + place, inner.totalBytes, isIPv6: inner.isIPv6)
        }
        coalescer.flush()
        return coalescer.sink.written
    }
}

@Suite struct SegmentCoalescerTests {
    static let templates: [PacketBuilder] = [true, false].flatMap { isTCP in
        [PacketBuilder(), .ipv6()].map { builder in
            var builder = builder
            builder.isTCP = isTCP
            builder.payload = (0..<20000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            return builder
        }
    }

    @Test(arguments: templates) func `D18: a flow becomes one packet, and cutting that restores it`(
        _ template: PacketBuilder
    ) throws {
        var builder = template
        builder.flags = 0x18
        let segments = builder.segments(of: 1368)
        let written = coalesce(segments)
        #expect(written.count == 1)
        #expect(written[0].header.segmentBytes == 1368)
        #expect(
            written[0].packet
                == {
                    var whole = builder; whole.payload = builder.payload; return whole.build(complete: false)
                }())
        #expect(try #require(split(written[0].packet, written[0].header)) == segments)
    }

    @Test func `D18: without fragmentation allowed the identification must count up`() {
        var builder = PacketBuilder()
        builder.dontFragment = false
        builder.payload = [UInt8](repeating: 1, count: 3000)
        #expect(coalesce(builder.segments(of: 1000)).count == 1)
        var segments: [[UInt8]] = []
        for index in 0..<3 {
            var piece = builder
            piece.payload = [UInt8](repeating: 1, count: 1000)
            piece.sequence = builder.sequence &+ UInt32(index * 1000)
            segments.append(piece.build())
        }
        #expect(coalesce(segments).map(\.packet) == segments)
    }

    /// Two packets that may only be joined when nothing but sequence and identification differ.
    private func pair(_ template: PacketBuilder, _ change: (inout PacketBuilder) -> Void) -> Int {
        var first = template
        first.payload = [UInt8](repeating: 1, count: 100)
        var second = first
        second.sequence &+= 100
        second.identification &+= 1
        change(&second)
        let packets = [first.build(), second.build()]
        let written = coalesce(packets)
        if written.count == 2 {
            #expect(written.map(\.packet) == packets, "written alone, it must be untouched")
            #expect(written.allSatisfy { $0.header == VirtioHeader() })
        }
        return written.count
    }

    @Test(arguments: templates) func `D18: packets that differ in what counts are not joined`(_ template: PacketBuilder)
    {
        #expect(pair(template) { _ in } == 1)
        #expect(pair(template) { $0.trafficClass = 1 } == 2)
        #expect(pair(template) { $0.timeToLive = 63 } == 2)
        #expect(pair(template) { $0.sourcePort = 1 } == 2)
        #expect(pair(template) { $0.destination[3] ^= 1 } == 2)
        #expect(pair(template) { $0.payload.append(1) } == 2)
        if template.isIPv6 {
            #expect(pair(template) { $0.flowLabel = 9 } == 2)
            #expect(
                pair(template) {
                    ($0.firstExtension, $0.extensionHeaders) = (0, [$0.transportProtocol, 0, 1, 4, 0, 0, 0, 0])
                } == 2)
        } else {
            #expect(pair(template) { $0.dontFragment = false } == 2)
            #expect(pair(template) { $0.ipOptions = [1, 1, 1, 1] } == 2)
        }
        guard template.isTCP else { return }
        #expect(pair(template) { $0.sequence &+= 1 } == 2)
        #expect(pair(template) { $0.acknowledgement = 1 } == 2)
        #expect(pair(template) { $0.window = 1 } == 2)
        #expect(pair(template) { $0.transportOptions = [1, 1, 1, 1] } == 2)
        #expect(pair(template) { $0.payload = [] } == 2)
        for flag: UInt8 in [0x01, 0x02, 0x04, 0x20, 0x80] { #expect(pair(template) { $0.flags |= flag } == 2) }
    }

    @Test func `D18: fragments and UDP without a checksum are written as they are, in order`() {
        var builder = PacketBuilder()
        builder.isTCP = false
        builder.payload = [UInt8](repeating: 1, count: 100)
        for field: [UInt8] in [[0x20, 0], [0, 1], [0x40, 1]] {
            var fragment = builder.build()
            fragment.replaceSubrange(6..<8, with: field)
            #expect(
                coalesce([builder.build(), fragment, builder.build()]).map(\.packet) == [
                    builder.build(), fragment, builder.build(),
                ])
        }
        var bare = builder.build()
        bare.replaceSubrange(26..<28, with: [0, 0])
        #expect(coalesce([bare, bare]).map(\.packet) == [bare, bare])
    }

    @Test func `D18: without USO in the kernel UDP is written packet by packet`() {
        var builder = PacketBuilder()
        builder.isTCP = false
        builder.payload = [UInt8](repeating: 1, count: 3000)
        #expect(coalesce(builder.segments(of: 1000), joinsUDP: false).map(\.packet) == builder.segments(of: 1000))
    }

    @Test func `D18: a shorter packet and PSH end a train`() {
        var builder = PacketBuilder()
        builder.payload = [UInt8](repeating: 1, count: 2500)
        var next = builder
        next.sequence &+= 2500
        next.identification &+= 3
        #expect(coalesce(builder.segments(of: 1000) + next.segments(of: 1000)).count == 2)
        builder.payload = [UInt8](repeating: 1, count: 2000)
        builder.flags = 0x18
        next.sequence = builder.sequence &+ 2000
        #expect(coalesce(builder.segments(of: 1000) + next.segments(of: 1000)).count == 2)
    }

    @Test func `D18: interleaved flows are told apart, order within each is kept, however many they are`() throws {
        for flowCount in [2, 8, 9, 20] {
            var packets: [[UInt8]] = []
            let flows = (0..<flowCount).map { index -> [[UInt8]] in
                var builder = index % 3 == 0 ? PacketBuilder.ipv6() : PacketBuilder()
                builder.isTCP = index % 2 == 0
                builder.sourcePort = UInt16(1000 + index)
                builder.payload = (0..<9000).map { UInt8(truncatingIfNeeded: $0 + index) }
                return builder.segments(of: 1000)
            }
            for position in 0..<9 { for flow in flows { packets.append(flow[position]) } }
            var restored: [[UInt8]] = []
            for (header, packet) in coalesce(packets) {
                restored += header.segmentation == .none ? [packet] : try #require(split(packet, header))
            }
            func port(_ packet: [UInt8]) -> [UInt8] { Array(packet[0] >> 4 == 6 ? packet[40..<42] : packet[20..<22]) }
            for flow in flows { #expect(restored.filter { port($0) == port(flow[0]) } == flow) }
            #expect(restored.count == packets.count)
        }
    }

    @Test func `D18: a joined packet stays below 64 KiB and below the kernel's number of segments`() throws {
        var builder = PacketBuilder()
        builder.payload = [UInt8](repeating: 2, count: 65000)
        let many = builder.segments(of: 100)
        let written = coalesce(many)
        #expect(written.allSatisfy { $0.packet.count <= 65535 })
        #expect(written.dropLast().allSatisfy { $0.packet.count == 40 + 64 * 100 })
        #expect(written.reduce(0) { $0 + $1.packet.count - 40 } == 65000)
    }

    @Test func `D18: a pure acknowledgement does not overtake data of its flow`() {
        var builder = PacketBuilder()
        builder.payload = [UInt8](repeating: 1, count: 2000)
        let data = builder.segments(of: 1000)
        var finish = builder
        finish.payload = []
        finish.flags = 0x11
        finish.sequence &+= 2000
        let written = coalesce(data + [finish.build()])
        #expect(written.count == 2)
        #expect(written[1].packet == finish.build())
    }

    @Test func `D18: 65535 bytes are the most of a joined packet, to the byte`() throws {
        for template in SegmentCoalescerTests.templates {
            let headers = template.networkBytes + template.transportBytes
            // The last, shorter one fills it to the byte, or would be one byte too much.
            for (payloadBytes, counts) in [(65535 - headers, [6]), (65536 - headers, [5, 1])] {
                var builder = template
                builder.payload = [UInt8](repeating: 3, count: payloadBytes)
                let written = coalesce(builder.segments(of: 13_000))
                #expect(written.map { ($0.packet.count - headers + 12_999) / 13_000 } == counts)
            }
            var builder = template
            builder.payload = [UInt8](repeating: 3, count: 70 * 1368)
            let most = (65535 - headers) / 1368
            let written = coalesce(builder.segments(of: 1368))
            #expect(written.map { ($0.packet.count - headers) / 1368 } == [most, 70 - most])
        }
    }

    @Test func `D18: when all places are taken, the flow that has waited longest makes room`() {
        let flows = (0..<10).map { index -> [[UInt8]] in
            var builder = PacketBuilder()
            builder.sourcePort = UInt16(1000 + index)
            builder.payload = [UInt8](repeating: UInt8(index), count: 2000)
            return builder.segments(of: 1000)
        }
        // Eight places; the ninth flow takes the first one's, and the tenth the second one's.
        let written = coalesce(flows.map { $0[0] } + flows[2...].map { $0[1] } + flows[..<2].map { $0[1] })
        let ports = written.map { Int($0.packet[20]) << 8 | Int($0.packet[21]) }
        let segments = written.map { $0.header.segmentation == .none ? 1 : 2 }
        // Two of the others make room again for the second halves of the first two.
        #expect(ports == [1000, 1001, 1002, 1003] + (1004...1009) + [1000, 1001])
        #expect(segments == [1, 1] + [Int](repeating: 2, count: 8) + [1, 1])
    }
}
