import Testing

@testable import WireGuardEngine

@Suite struct SegmentSplitterTests {
    static let builders: [PacketBuilder] = {
        var list: [PacketBuilder] = []
        for isTCP in [true, false] {
            for isIPv6 in [true, false] {
                var builder = isIPv6 ? PacketBuilder.ipv6() : PacketBuilder()
                builder.isTCP = isTCP
                list.append(builder)
                builder.identification = 0xfffe
                builder.sequence = 0xffff_ff00
                if isTCP { builder.transportOptions = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8] }
                if isIPv6 {
                    // A hop-by-hop header with padding, then the transport.
                    builder.firstExtension = 0
                    builder.extensionHeaders = [isTCP ? 6 : 17, 0, 1, 4, 0, 0, 0, 0]
                } else {
                    builder.ipOptions = [1, 1, 1, 1]
                }
                list.append(builder)
            }
        }
        return list
    }()

    @Test(arguments: builders) func `D17: a super-packet is cut as the kernel would cut it`(_ template: PacketBuilder)
        throws
    {
        for (payloadBytes, segment) in [
            (1, 1368), (1368, 1368), (1369, 1368), (30000, 1368), (60001, 1399), (700, 7), (64, 64),
        ] {
            for flags: UInt8 in [0x10, 0x18, 0x19, 0x98, 0x91] {
                var builder = template
                builder.flags = flags
                builder.payload = (0..<payloadBytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
                let pieces = try #require(split(builder.build(complete: false), builder.virtioHeader(segment: segment)))
                #expect(pieces == builder.segments(of: segment))
            }
        }
    }

    @Test func `D17: hdr_len is ignored`() throws {
        var builder = PacketBuilder()
        builder.payload = [UInt8](repeating: 5, count: 3000)
        var header = builder.virtioHeader(segment: 1000)
        header.headerBytes = 9
        #expect(try #require(split(builder.build(complete: false), header)) == builder.segments(of: 1000))
    }

    @Test(arguments: builders) func `D17: a checksum left to us is completed`(_ template: PacketBuilder) throws {
        var builder = template
        builder.payload = [1, 2, 3, 4, 5]
        var header = builder.virtioHeader(segment: 0)
        header.segmentation = .none
        #expect(try #require(split(builder.build(complete: false), header)) == [builder.build()])
    }

    @Test func `D17: a UDP checksum of zero becomes ffff`() throws {
        var builder = PacketBuilder()
        builder.isTCP = false
        // Two bytes that bring the sum to ffff, so that its complement is zero.
        builder.payload = [0, 0]
        let sum = ~PacketBuilder.sum(Array(builder.build(complete: false)[20...]))
        builder.payload = [UInt8(sum >> 8), UInt8(sum & 0xff)]
        var header = builder.virtioHeader(segment: 0)
        header.segmentation = .none
        let pieces = try #require(split(builder.build(complete: false), header))
        #expect(Array(pieces[0][26..<28]) == [0xff, 0xff])
        #expect(pieces == [builder.build()])
    }

    @Test func `D17: what needs nothing is copied untouched, without what stands behind it`() throws {
        var builder = PacketBuilder()
        builder.payload = [9, 9, 9]
        var packet = builder.build()
        packet[36] ^= 0x55
        #expect(try #require(split(packet + [1, 2, 3], VirtioHeader())) == [packet])
    }

    @Test func `D17: headers that contradict the packet are refused`() {
        var builder = PacketBuilder()
        builder.payload = [UInt8](repeating: 1, count: 3000)
        let packet = builder.build(complete: false)
        func refuses(_ change: (inout VirtioHeader) -> Void) -> Bool {
            var header = builder.virtioHeader(segment: 1000)
            change(&header)
            return split(packet, header) == nil
        }
        #expect(refuses { $0.segmentBytes = 0 })
        #expect(refuses { $0.checksumStart = 19 })
        #expect(refuses { $0.checksumStart = 3030 })
        #expect(refuses { $0.checksumStart = 65535 })
        #expect(refuses { $0.checksumOffset = 15 })
        #expect(refuses { $0.needsChecksum = false })
        #expect(refuses { $0.segmentation = .tcp6 })
        #expect(refuses { ($0.segmentation, $0.checksumStart) = (.none, 3039) })
        #expect(split(Array(packet[..<19]), VirtioHeader()) == nil)
        #expect(split(packet, builder.virtioHeader(segment: 1000), maximumBytes: 1039) == nil)
    }

    @Test func `D17: no header, however mad, reads or writes out of bounds`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20000 {
            var builder = Bool.random() ? PacketBuilder() : .ipv6()
            builder.isTCP = Bool.random()
            builder.payload = [UInt8](repeating: 3, count: Int.random(in: 0...400))
            var packet = builder.build(complete: false)
            for _ in 0..<Int.random(in: 0...4) { packet[Int.random(in: 0..<packet.count)] = random.next() }
            packet.removeLast(Int.random(in: 0..<packet.count))
            var header = builder.virtioHeader(segment: Int.random(in: 0...500))
            switch Int.random(in: 0...4) {
            case 0: header.checksumStart = random.next()
            case 1: header.checksumStart = UInt16.random(in: 0...100)
            case 2: header.checksumOffset = UInt16.random(in: 0...100)
            case 3: header.segmentation = [.none, .tcp4, .tcp6, .udp].randomElement() ?? .none
            default: break
            }
            _ = split(packet, header, maximumBytes: Int.random(in: 0...600))
        }
    }

    @Test func `D17: an unknown segmentation type is no header`() {
        for type: UInt8 in 0...255 {
            let bytes: [UInt8] = [1, type, 0, 0, 0, 0, 0, 0, 0, 0]
            let header = bytes.withUnsafeBytes { $0.baseAddress.flatMap { VirtioHeader(reading: $0) } }
            #expect((header != nil) == [0, 1, 4, 5].contains(type & 0x7f))
        }
    }
}
