import CTrainCipher
import Glibc
import Testing

@testable import WireGuardCrypto

@Suite struct TrainCipherTests {
    @Test(arguments: CipherImplementation.available)
    func `D20: tags first, then the window in order, then plaintext of the admitted only`(
        _ implementation: CipherImplementation
    ) {
        var cipher = TrainCipher(implementation)
        let key = [UInt8](repeating: 7, count: 32)
        let lengths = [
            0, 1, 16, 64, 96, 1420, 1420, 1420, 20_000, 1420, 1420, 1420, 1420, 1420, 1420, 1420, 1420, 33, 15,
        ]
        let train = Train(lengths: lengths, seed: 1)
        cipher.seal(train.first, count: lengths.count, key: key)
        for index in lengths.indices { #expect(train.bytes(index) == train.oracle(index, key)) }

        let spoiled = [3, 7, 8, 18]
        for index in spoiled { train.packets[index].text[Int(train.packets[index].length) + index % 16] ^= 1 }
        let before = lengths.indices.map { train.bytes($0) }
        var asked: [Int] = []
        cipher.open(train.first, count: lengths.count, key: key) { index in
            asked.append(index)
            return index != 5
        }
        #expect(asked == lengths.indices.filter { !spoiled.contains($0) })
        for index in lengths.indices {
            let opened = !spoiled.contains(index) && index != 5
            #expect(train.packets[index].isOpened == opened)
            #expect(train.packets[index].isAuthentic == !spoiled.contains(index))
            #expect(train.bytes(index) == (opened ? train.texts[index] + before[index].suffix(16) : before[index]))
        }
    }

    @Test(arguments: CipherImplementation.available)
    func `D20: every single bit of a packet and its tag counts`(_ implementation: CipherImplementation) {
        var cipher = TrainCipher(implementation)
        let key = [UInt8](0..<32)
        for length in [0, 1, 15, 16, 17, 47, 64, 65, 111, 112, 113, 200] {
            let train = Train(lengths: [length], seed: UInt64(length))
            cipher.seal(train.first, count: 1, key: key)
            let sealed = train.bytes(0)
            for bit in 0..<(sealed.count * 8) {
                train.first.pointee.text[bit / 8] ^= 1 << (bit % 8)
                cipher.open(train.first, count: 1, key: key) { _ in true }
                #expect(!train.first.pointee.isAuthentic && !train.first.pointee.isOpened)
                train.first.pointee.text[bit / 8] ^= 1 << (bit % 8)
                #expect(train.bytes(0) == sealed)
            }
            train.first.pointee.counter ^= 1 << 63
            cipher.open(train.first, count: 1, key: key) { _ in true }
            #expect(!train.first.pointee.isOpened)
        }
    }

    @Test(arguments: CipherImplementation.available)
    func `D19: texts up to the longest datagram, in any mixture`(_ implementation: CipherImplementation) {
        var cipher = TrainCipher(implementation)
        let key = [UInt8](repeating: 9, count: 32)
        // Around the scratch's 192 blocks (191 of text) and the composed form's.
        let limits = [12_223, 12_224, 12_225, 12_288, 12_289, 18_368, 18_369, 24_512, 24_513, 65_487, 65_535]
        for lengths in limits.map({ [$0] }) + [[0, 12_225, 0, 12_224, 1_420, 65_535, 65_535, 3]] {
            let train = Train(lengths: lengths, seed: 3, firstCounter: .max - 5)
            cipher.seal(train.first, count: lengths.count, key: key)
            for index in lengths.indices { #expect(train.bytes(index) == train.oracle(index, key)) }
            cipher.open(train.first, count: lengths.count, key: key) { _ in true }
            for index in lengths.indices { #expect(train.bytes(index).dropLast(16) == train.texts[index][...]) }
        }
    }

    @Test(arguments: CipherImplementation.available)
    func `Nothing outside a packet is read or written: it stands between forbidden pages`(
        _ implementation: CipherImplementation
    ) {
        var cipher = TrainCipher(implementation)
        let key = [UInt8](repeating: 5, count: 32)
        let (page, room) = (4_096, 8 * 4_096)
        guard let area = mmap(nil, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), area != MAP_FAILED
        else { return }
        defer { munmap(area, room + 2 * page) }
        let first = area + page
        mprotect(first, room, PROT_READ | PROT_WRITE)
        for length in Array(0...300) + Array(1_400...1_440) + [2_048, 12_224, 12_225, 30_000] {
            // Against the page in front, and the tag against the page behind.
            for start in [first, first + (room - length - 16)] {
                let text = start.assumingMemoryBound(to: UInt8.self)
                text.update(repeating: 0xa5, count: length)
                var packet = CipherPacket(text: text, length: UInt32(length), counter: 1)
                cipher.seal(&packet, count: 1, key: key)
                cipher.open(&packet, count: 1, key: key) { _ in true }
                #expect(packet.isOpened)
                #expect((0..<length).allSatisfy { text[$0] == 0xa5 })
            }
        }
    }

    @Test(arguments: CipherImplementation.available)
    func `N12: no key stream and no power of r is left in the scratch`(_ implementation: CipherImplementation) {
        var cipher = TrainCipher(implementation)
        let key = [UInt8](repeating: 5, count: 32)
        let secret = implementation == .composed ? CipherScratch.byteCount : Int(SWG_TRAIN_SECRET_BYTES)
        func isWiped() -> Bool {
            (0..<secret).allSatisfy { cipher.scratch.load(fromByteOffset: $0, as: UInt8.self) == 0 }
        }
        for lengths in [
            [0], [64], [1_420], [65_000], Array(repeating: 1_420, count: 44), Array(0..<80), [500, 65_000, 1],
        ] {
            let train = Train(lengths: lengths, seed: 1)
            cipher.seal(train.first, count: lengths.count, key: key)
            #expect(isWiped())
            cipher.open(train.first, count: lengths.count, key: key) { $0 % 2 == 0 }
            #expect(isWiped())
        }
    }

    @Test func `An empty train is none`() {
        for implementation in CipherImplementation.available {
            var cipher = TrainCipher(implementation)
            let train = Train(lengths: [1], seed: 1)
            let before = train.bytes(0)
            cipher.seal(train.first, count: 0, key: before + before)
            cipher.open(train.first, count: 0, key: before + before) { _ in true }
            #expect(train.bytes(0) == before)
        }
    }
}
