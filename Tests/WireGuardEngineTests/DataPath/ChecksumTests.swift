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

    @Test func `D5: congestion experienced is marked where the sender understands it, and the checksum stays right`() {
        for ecn: UInt8 in 0...3 {
            for template in [PacketBuilder(), PacketBuilder.ipv6()] {
                var builder = template
                builder.trafficClass = 0xb8 | ecn
                var packet = builder.build()
                packet.withUnsafeMutableBytes { bytes in
                    if let base = bytes.baseAddress {
                        InnerPacket.markCongestionExperienced(base, isIPv6: builder.isIPv6)
                    }
                }
                if ecn != 0 { builder.trafficClass = 0xbb }
                #expect(packet == builder.build())
            }
        }
    }
}
