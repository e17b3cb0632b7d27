import Testing

@testable import WireGuardEngine

@Suite struct ChecksumTests {
    @Test func `RFC 1071: the sum equals the slow one for every length and alignment`() {
        let bytes = (0..<700).map { UInt8(truncatingIfNeeded: $0 &* 197 &+ $0 >> 3) }
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            for start in 0..<9 {
                for length in 0..<(bytes.count - start) {
                    let fast = InternetChecksum.fold(InternetChecksum.add(base + start, length))
                    #expect(fast.bigEndian == PacketBuilder.sum(Array(bytes[start..<start + length])))
                }
            }
        }
    }

    @Test func `RFC 1071: all ones do not overflow`() {
        let bytes = [UInt8](repeating: 0xff, count: 65535)
        let sum = bytes.withUnsafeBytes {
            $0.baseAddress.map { InternetChecksum.fold(InternetChecksum.add($0, 65535)) }
        }
        #expect(sum?.bigEndian == PacketBuilder.sum(bytes))
    }

    @Test func `D5: what the outer packet met is passed on as INET_ECN_decapsulate does it, checksum included`() {
        // By outer ECN, then inner ECN: not ECT, ECT(1), ECT(0), CE.
        let expected: [[UInt8]] = [[0, 1, 2, 3], [0, 1, 1, 3], [0, 1, 2, 3], [0, 3, 3, 3]]
        for outer: UInt8 in 0...3 {
            for inner: UInt8 in 0...3 {
                for template in [PacketBuilder(), PacketBuilder.ipv6()] {
                    var builder = template
                    builder.trafficClass = 0xb8 | inner
                    var packet = builder.build()
                    packet.withUnsafeMutableBytes { bytes in
                        if let base = bytes.baseAddress {
                            InnerPacket.decapsulateCongestion(of: base, isIPv6: builder.isIPv6, outer: 0xb8 | outer)
                        }
                    }
                    builder.trafficClass = 0xb8 | expected[Int(outer)][Int(inner)]
                    #expect(packet == builder.build(), "outer \(outer), inner \(inner)")
                }
            }
        }
    }

    @Test func `D5: the outer packet has the inner ECN and no DSCP; congestion of before starts as ECT(0)`() {
        // INET_ECN_encapsulate: CE is not copied, so that the tunnel's own congestion can be told from it.
        for (inner, outer) in [(0, 0), (1, 1), (2, 2), (3, 2)] as [(UInt8, UInt8)] {
            for template in [PacketBuilder(), PacketBuilder.ipv6()] {
                var builder = template
                builder.trafficClass = 0xb8 | inner
                let found = builder.build().withUnsafeBytes { bytes in
                    bytes.baseAddress.map { InnerPacket.outerTrafficClass($0, isIPv6: builder.isIPv6) }
                }
                #expect(found == outer)
            }
        }
    }
}
