/// The start-up check of our own cipher against libsodium's AEAD call: some milliseconds, once per process.
///
/// It is no proof (the test suite is), it catches a CPU, kernel or compiler on which the code does not do what it
/// did there. The first `TrainCipher` of the process runs it, on the worker's main thread before its system-call filter
/// is on. Texts of every length up to a few vectors, of full packets, and one longer than the scratch go through
/// in trains of many sizes; then one bit of each is spoiled.
enum CipherSelfTest {
    /// Seals or opens `count` packets in place under a key of 32 bytes; opening admits every authentic packet.
    typealias Operation = (_ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer) -> Void

    static func passes(_ implementation: CipherImplementation) -> Bool {
        var cipher = TrainCipher(implementation)
        return passes(
            seal: { cipher.seal($0, count: $1, key: $2) }, open: { cipher.open($0, count: $1, key: $2) { _ in true } })
    }

    /// The operations are arguments so that tests can put faults into them.
    static func passes(seal: Operation, open: Operation) -> Bool {
        let lengths =
            Array(0...272) + [511, 512, 513, 1_008, 1_280, 1_400, 1_408, 1_420, 1_424, 1_440, 1_452, 2_047, 13_000]
        var next = 0
        var trainLength = 1
        while next < lengths.count {
            let train = lengths[next..<min(next + trainLength, lengths.count)]
            guard isRight(Array(train), firstCounter: 0xffff_fffd &+ UInt64(next), seal, open) else { return false }
            next += trainLength
            trainLength = trainLength % 47 + 1
        }
        return true
    }

    private static func isRight(_ lengths: [Int], firstCounter: UInt64, _ seal: Operation, _ open: Operation) -> Bool {
        var pattern = Pattern(state: firstCounter)
        let key = (0..<32).map { _ in pattern.next() }
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: lengths.reduce(0) { $0 + $1 + 16 })
        defer { memory.deallocate() }
        var expected: [[UInt8]] = []
        var texts: [[UInt8]] = []
        var packets: [CipherPacket] = []
        var place = memory
        for (index, length) in lengths.enumerated() {
            let text = (0..<length).map { _ in pattern.next() }
            place.update(from: text + [UInt8](repeating: 0, count: 16), count: length + 16)
            let counter = firstCounter &+ UInt64(index)
            packets.append(CipherPacket(text: place, length: UInt32(length), counter: counter))
            var sealed = [UInt8](repeating: 0, count: length + 16)
            text.withUnsafeBytes {
                ChaCha20Poly1305.seal($0, counter: counter, authenticating: .empty, key: key, into: &sealed)
            }
            texts.append(text)
            expected.append(sealed)
            place += length + 16
        }
        seal(&packets, packets.count, key)
        guard bytes(packets, tag: 16) == expected else { return false }

        // Every other one is spoiled: it must stay as it is, and the rest must open.
        for index in stride(from: 0, to: packets.count, by: 2) {
            packets[index].text[index * 7 % expected[index].count] ^= 1 << (index % 8)
            texts[index] = bytes([packets[index]], tag: 0)[0]
        }
        open(&packets, packets.count, key)
        return packets.indices.allSatisfy { packets[$0].isOpened == ($0 % 2 == 1) } && bytes(packets, tag: 0) == texts
    }

    private static func bytes(_ packets: [CipherPacket], tag: Int) -> [[UInt8]] {
        packets.map { Array(UnsafeBufferPointer(start: $0.text, count: Int($0.length) + tag)) }
    }

    /// Bytes without a visible order, the same on every machine.
    private struct Pattern {
        var state: UInt64

        mutating func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state &>> 56)
        }
    }
}
