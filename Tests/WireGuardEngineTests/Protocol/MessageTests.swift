import Testing
import WireGuardTestSupport

@testable import WireGuardEngine

@Suite struct MessageTests {
    private func kind(_ bytes: [UInt8]) -> Message.Kind? { bytes.withUnsafeBytes { Message.kind($0) } }

    private func message(_ type: UInt8, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        if count > 0 { bytes[0] = type }
        return bytes
    }

    @Test func `M1: the type is one little-endian number, so reserved bytes must be zero`() {
        for offset in 1...3 {
            var bytes = message(4, 64)
            bytes[offset] = 1
            #expect(kind(bytes) == nil)
        }
        #expect(kind(message(0, 148)) == nil)
        #expect(kind(message(5, 148)) == nil)
    }

    @Test func `M1: header fields are little-endian`() {
        var bytes = message(4, 32)
        bytes.replaceSubrange(4..<16, with: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        let header = bytes.withUnsafeBytes { Message.dataHeader($0.baseAddress!) }
        #expect(header.receiver == 0x0403_0201)
        #expect(header.counter == 0x0c0b_0a09_0807_0605)
        var written = [UInt8](repeating: 0xff, count: 16)
        written.withUnsafeMutableBytes {
            Message.writeDataHeader($0.baseAddress!, receiver: 0x0403_0201, counter: 0x0c0b_0a09_0807_0605)
        }
        #expect(written == Array(bytes[..<16]))
    }

    @Test(arguments: [(UInt8(1), 148), (2, 92), (3, 64)])
    func `M2, M3, M5: initiation, response and cookie reply have exactly one length`(type: UInt8, length: Int) {
        for count in 0...200 { #expect((kind(message(type, count)) != nil) == (count == length)) }
    }

    @Test func `M4: a data message has at least 32 bytes`() {
        for count in 0...200 { #expect((kind(message(4, count)) == .data) == (count >= 32)) }
    }

    @Test func `M6: a datagram of any size and content is dropped without harm`() {
        let pair = VirtualPair()
        pair.connect()
        var generator = SeededGenerator(seed: 6)
        for round in 0..<2000 {
            var bytes = generator.bytes(round % 50 == 0 ? 65535 : generator.below(300))
            if bytes.count >= 8, generator.oneIn(2) {
                bytes.replaceSubrange(0..<4, with: [UInt8(1 + generator.below(4)), 0, 0, 0])
            }
            let datagram = Datagram(source: VirtualPair.addressA, destination: VirtualPair.addressB, bytes: bytes)
            pair.b.runReceive([datagram], at: pair.now.boot)
            pair.b.runControl(at: pair.now)
        }
        #expect(pair.b.outbox.isEmpty)
        #expect(pair.b.delivered.count == 1)
    }
}
