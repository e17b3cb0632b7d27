import CSodium
import Testing

@testable import WireGuardCrypto

/// The MAC of our cipher against libsodium's where random texts hardly ever get: carries that run through all limbs.
@Suite struct Poly1305CarryTests {
    private static let messageCount: Int = {
        #if DEBUG
            return 600
        #else
            return 400_000
        #endif
    }()

    /// Keys and messages of runs of 00, ff and what is near them: limbs at their limits, h at and around 2^130 - 5.
    @Test(arguments: CipherImplementation.vectorised)
    func `Poly1305 at the extremes of its carries`(_ implementation: CipherImplementation) {
        var random = SplitMix(state: 0x706f_6c79)
        let extremes: [UInt8] = [0, 0xff, 0xfe, 0xfd, 0xfb, 0xfa, 1, 2, 3, 4, 5, 0x80, 0x7f, 0xfc]
        var memory = [UInt8](repeating: 0, count: 200 * 16)
        var key = [UInt8](repeating: 0, count: 32)
        var wrong = 0
        for round in 0..<Self.messageCount {
            let count = (1 + Int(random.next() % (round % 10 == 0 ? 200 : 40))) * 16
            runs(of: extremes, into: &memory, count, &random)
            runs(of: extremes, into: &key, 32, &random)
            if round % 2 == 0 {
                // A small r adds blocks up nearly unreduced, and few blocks that are not zero make sums of -1, -2, … mod
                // 2^128: the carries out of the last reduction.
                for index in 0..<16 { key[index] = 0 }
                key[random.next() % 4 == 0 ? 8 : 0] = UInt8(random.next() % 6)
                let chosen = Int(random.next() % UInt64(count / 16))
                let first = UInt8(truncatingIfNeeded: 0xff &- random.next() % 8)
                for index in 0..<count { memory[index] = index / 16 != chosen ? 0 : index % 16 == 0 ? first : 0xff }
            }
            if mac(implementation, key, Array(memory[..<count])) != oracle(key, memory, count) { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    private func runs(of values: [UInt8], into bytes: inout [UInt8], _ count: Int, _ random: inout SplitMix) {
        var index = 0
        while index < count {
            let chosen = random.next()
            let value =
                chosen % 5 == 0
                ? UInt8(truncatingIfNeeded: chosen >> 8) : values[Int(chosen >> 8) & 0xffff % values.count]
            for _ in 0...(random.next() % 3 == 0 ? random.next() % 64 : random.next() % 16) where index < count {
                bytes[index] = value
                index += 1
            }
        }
    }

    private func oracle(_ key: [UInt8], _ message: [UInt8], _ count: Int) -> [UInt8] {
        var tag = [UInt8](repeating: 0, count: 16)
        crypto_onetimeauth_poly1305(&tag, message, UInt64(count), key)
        return tag
    }
}
