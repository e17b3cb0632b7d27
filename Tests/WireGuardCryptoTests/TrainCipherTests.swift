import CSodium
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
}
