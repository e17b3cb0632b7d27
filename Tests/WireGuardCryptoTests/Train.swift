import CSodium

@testable import WireGuardCrypto

/// A train of random texts in exactly fitting memory, with libsodium's AEAD call as the oracle.
final class Train {
    let texts: [[UInt8]]
    let packets: UnsafeMutableBufferPointer<CipherPacket>
    let first: UnsafeMutablePointer<CipherPacket>

    init(lengths: [Int], seed: UInt64, firstCounter: UInt64 = 0) {
        var random = SplitMix(state: seed)
        texts = lengths.map { length in (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
        first = .allocate(capacity: lengths.count)
        packets = UnsafeMutableBufferPointer(start: first, count: lengths.count)
        for (index, text) in texts.enumerated() {
            let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: text.count + 16)
            memory.update(from: text, count: text.count)
            (memory + text.count).update(repeating: 0, count: 16)
            packets.initializeElement(
                at: index,
                to: CipherPacket(text: memory, length: UInt32(text.count), counter: firstCounter &+ UInt64(index) * 3))
        }
    }

    deinit {
        for packet in packets { packet.text.deallocate() }
        packets.deallocate()
    }

    func bytes(_ index: Int) -> [UInt8] {
        Array(UnsafeBufferPointer(start: packets[index].text, count: Int(packets[index].length) + 16))
    }

    func oracle(_ index: Int, _ key: [UInt8]) -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: texts[index].count + 16)
        let counter = packets[index].counter
        let nonce = [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: counter >> ($0 * 8)) }
        _ = crypto_aead_chacha20poly1305_ietf_encrypt(
            &sealed, nil, texts[index], UInt64(texts[index].count), nil, 0, nil, nonce, key)
        return sealed
    }
}

/// Reproducible random numbers.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
