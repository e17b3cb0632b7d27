import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

@Suite struct UnreachableMessageTests {
    private func answer(_ packet: [UInt8], _ reason: UnreachableMessages.Reason) -> [UInt8]? {
        packet.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, let inner = InnerPacket(base, bytes.count),
                UnreachableMessages.mayBeAnswered(base, inner)
            else { return nil }
            var output = [UInt8](repeating: 0, count: 1536)
            let count = output.withUnsafeMutableBytes { room in
                room.baseAddress.map { UnreachableMessages.write($0, base, inner, reason) } ?? 0
            }
            return Array(output[..<count])
        }
    }

    @Test func `D4: an IPv4 packet without a peer is answered with host unreachable`() throws {
        var builder = PacketBuilder()
        builder.payload = [UInt8](repeating: 7, count: 1000)
        let packet = builder.build()
        let message = try #require(answer(packet, .address))
        #expect(message.count == 576)
        #expect(PacketBuilder.sum(Array(message[..<20])) == 0xffff)
        #expect(PacketBuilder.sum(Array(message[20...])) == 0xffff)
        #expect(Array(message[12..<16]) == builder.destination && Array(message[16..<20]) == builder.source)
        #expect(message[9] == 1 && message[20] == 3 && message[21] == 1)
        #expect(Array(message[28...]) == Array(packet[..<548]))
    }

    @Test func `D4: an IPv6 packet without a peer is answered with address unreachable`() throws {
        var builder = PacketBuilder.ipv6()
        builder.payload = [UInt8](repeating: 7, count: 3000)
        let packet = builder.build()
        let message = try #require(answer(packet, .address))
        #expect(message.count == 1280)
        let pseudo = builder.destination + builder.source + [0, 0, UInt8((1240) >> 8), UInt8(1240 & 0xff), 0, 0, 0, 58]
        #expect(PacketBuilder.sum(pseudo + message[40...]) == 0xffff)
        #expect(message[6] == 58 && message[40] == 1 && message[41] == 3)
        #expect(Array(message[48...]) == Array(packet[..<1232]))
    }

    @Test func `D19: what is larger than a datagram is answered with the size that fits`() throws {
        var builder = PacketBuilder()
        builder.payload = [1]
        let message = try #require(answer(builder.build(), .tooBig(mtu: 65475)))
        #expect(message[20] == 3 && message[21] == 4 && Int(message[26]) << 8 | Int(message[27]) == 65475)
        var builder6 = PacketBuilder.ipv6()
        builder6.payload = [1]
        let message6 = try #require(answer(builder6.build(), .tooBig(mtu: 65495)))
        #expect(message6[40] == 2 && Array(message6[44..<48]) == [0, 0, 0xff, 0xd7])
    }

    @Test func `D4: errors, multicast, broadcast and fragments are not answered`() {
        func change(_ packet: [UInt8], _ place: Int, _ bytes: [UInt8]) -> [UInt8] {
            var copy = packet
            copy.replaceSubrange(place..<place + bytes.count, with: bytes)
            return copy
        }
        let ipv4 = PacketBuilder().build()
        #expect(answer(ipv4, .address) != nil)
        #expect(answer(change(ipv4, 16, [224, 0, 0, 1]), .address) == nil)
        #expect(answer(change(ipv4, 16, [255, 255, 255, 255]), .address) == nil)
        #expect(answer(change(ipv4, 12, [0, 0, 0, 0]), .address) == nil)
        #expect(answer(change(ipv4, 6, [0x20, 0]), .address) != nil, "the first fragment may be answered")
        #expect(answer(change(ipv4, 6, [0, 1]), .address) == nil)
        for type: UInt8 in [3, 4, 5, 11, 12, 200] {
            #expect(answer(change(change(ipv4, 9, [1]), 20, [type]), .address) == nil)
        }
        #expect(answer(change(change(ipv4, 9, [1]), 20, [8]), .address) != nil)
        let ipv6 = PacketBuilder.ipv6().build()
        #expect(answer(ipv6, .address) != nil)
        #expect(answer(change(ipv6, 24, [0xff]), .address) == nil)
        #expect(answer(change(ipv6, 8, [UInt8](repeating: 0, count: 16)), .address) == nil)
        #expect(answer(change(change(ipv6, 6, [58]), 40, [1]), .address) == nil)
        #expect(answer(change(change(ipv6, 6, [58]), 40, [128]), .address) != nil)
        #expect(answer(change(change(ipv6, 6, [44]), 42, [0, 9]), .address) == nil)
    }

    @Test(arguments: [0, 10, 12])
    func `D4: fifty answers at once, then one a millisecond, and silence saves up no more than fifty`(
        _ virtioBytes: Int
    ) throws {
        let (inside, outside) = try DescriptorChannel.makePair()
        defer { for number in [inside, outside] { close(number) } }
        var messages = UnreachableMessages(tun: inside, virtioBytes: virtioBytes)
        let packet = PacketBuilder().build()
        let multicast = packet[..<16] + [224, 0, 0, 1] + packet[20...]
        var now = BootTime(nanoseconds: 3_000_000_000_000)
        var answers: [Int] = []
        for (nanoseconds, asked) in [
            (0, 60), (999_999, 3), (1, 3), (10_000_000, 20), (500_000, 1), (500_000, 2), (1_000_000_000, 60),
        ] as [(UInt64, Int)] {
            now = now.advanced(byNanoseconds: nanoseconds)
            for _ in 0..<asked {
                // What is not answered costs nothing.
                for bytes in [Array(multicast), packet] {
                    bytes.withUnsafeBytes { bytes in
                        guard let base = bytes.baseAddress, let inner = InnerPacket(base, bytes.count) else { return }
                        messages.answer(base, inner, .address, now: now)
                    }
                }
            }
            answers.append(0)
            var buffer = [UInt8](repeating: 0xff, count: 2048)
            while true {
                let count = read(outside, &buffer, buffer.count)
                if count <= 0 { break }
                answers[answers.count - 1] += 1
                #expect(count == virtioBytes + 28 + packet.count)
                #expect(buffer[..<virtioBytes].allSatisfy { $0 == 0 } && buffer[virtioBytes] == 0x45)
            }
        }
        #expect(answers == [50, 0, 1, 10, 0, 1, 50])
    }

    @Test func `D4: an answer to the largest packet of either family quotes what fits, and no more`() throws {
        for (template, total) in [(PacketBuilder(), 576), (.ipv6(), 1280)] {
            var builder = template
            for payloadBytes in [total, 60_000] {
                builder.payload = [UInt8](repeating: 1, count: payloadBytes)
                let message = try #require(answer(builder.build(), .address))
                #expect(message.count == total)
            }
        }
    }
}
