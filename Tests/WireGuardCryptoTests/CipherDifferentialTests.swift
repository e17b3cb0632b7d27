import CSodium
import Glibc
import Testing

@testable import WireGuardCrypto

/// Our cipher against libsodium's AEAD call, bit for bit.
@Suite struct CipherDifferentialTests {
    /// A hundred thousand trains where the compiler optimises, a million with --full, enough to smoke without.
    private static let trainCount: Int = {
        #if DEBUG
            return 300
        #else
            return getenv("SWG_FULL").map { $0.pointee != 0 } == true ? 1_000_000 : 100_000
        #endif
    }()

    private static let longest = 2_048
    private static let most = 48

    @Test(arguments: CipherImplementation.available)
    func `Random trains: lengths, sizes, counters, alignments and tampering`(_ implementation: CipherImplementation) {
        var cipher = TrainCipher(implementation)
        var random = SplitMix(state: 0x7261_696e)
        let stride = Self.longest + 16 + 64
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.most * stride + 64, alignment: 64)
        let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.most * stride, alignment: 64)
        defer {
            memory.deallocate()
            plain.deallocate()
        }
        var sealed = [UInt8](repeating: 0, count: Self.longest + 16)
        var key = [UInt8](repeating: 0, count: 32)
        var packets: [CipherPacket] = []
        var wrong = 0
        for _ in 0..<Self.trainCount {
            key.withUnsafeMutableBytes { fill($0, &random) }
            let shape = random.next() % 4
            let count = 1 + Int(random.next() % (shape == 0 ? UInt64(Self.most) : 5))
            packets.removeAll(keepingCapacity: true)
            for index in 0..<count {
                let length: Int =
                    switch shape {
                    case 1: Int(random.next() % 130)
                    case 2: index == count - 1 ? Int(random.next() % 1_421) : 1_420
                    default: Int(random.next() % UInt64(Self.longest + 1))
                    }
                let start = memory.baseAddress! + index * stride + Int(random.next() % 64)
                fill(UnsafeMutableRawBufferPointer(start: start, count: length + 16), &random)
                (plain.baseAddress! + index * stride).copyMemory(from: start, byteCount: length)
                let counter = random.next() >> (random.next() % 64)
                packets.append(
                    CipherPacket(
                        text: start.assumingMemoryBound(to: UInt8.self), length: UInt32(length), counter: counter))
            }
            cipher.seal(&packets, count: count, key: key)
            for (index, packet) in packets.enumerated() {
                let text = (plain.baseAddress! + index * stride).assumingMemoryBound(to: UInt8.self)
                ChaCha20Poly1305.withNonce(packet.counter) { nonce in
                    _ = crypto_aead_chacha20poly1305_ietf_encrypt(
                        &sealed, nil, text, UInt64(packet.length), nil, 0, nil, nonce, key)
                }
                if memcmp(packet.text, sealed, Int(packet.length) + 16) != 0 { wrong += 1 }
            }
            let spoiled = random.next() & random.next()
            for index in 0..<count where spoiled >> index & 1 == 1 {
                let bit = Int(random.next() % UInt64((packets[index].length + 16) * 8))
                packets[index].text[bit / 8] ^= 1 << (bit % 8)
            }
            cipher.open(&packets, count: count, key: key) { _ in true }
            for (index, packet) in packets.enumerated() {
                let text = plain.baseAddress! + index * stride
                let isGood = spoiled >> index & 1 == 0
                if packet.isOpened != isGood { wrong += 1 }
                if (memcmp(packet.text, text, Int(packet.length)) == 0) != isGood && packet.length > 8 { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    /// Keys and messages of runs of 00, ff and what is near them: limbs at their limits, h at and around 2^130 - 5.
    @Test(arguments: CipherImplementation.vectorised)
    func `Poly1305 at the extremes of its carries`(_ implementation: CipherImplementation) {
        var random = SplitMix(state: 0x706f_6c79)
        let extremes: [UInt8] = [0, 0xff, 0xfe, 0xfd, 0xfb, 0xfa, 1, 2, 3, 4, 5, 0x80, 0x7f, 0xfc]
        var memory = [UInt8](repeating: 0, count: 200 * 16)
        var key = [UInt8](repeating: 0, count: 32)
        var wrong = 0
        for round in 0..<(Self.trainCount * 2) {
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

    private func fill(_ bytes: UnsafeMutableRawBufferPointer, _ random: inout SplitMix) {
        let words = bytes.count / 8
        for index in 0..<words { bytes.storeBytes(of: random.next(), toByteOffset: index * 8, as: UInt64.self) }
        for index in (words * 8)..<bytes.count { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
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
