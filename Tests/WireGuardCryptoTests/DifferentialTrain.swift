import CSodium
import Glibc

@testable import WireGuardCrypto

/// A random train, packets and the gaps between them in one stretch of memory, and what libsodium's AEAD call makes of
/// that memory. Whole memories are compared, so a byte changed outside of the packets is found as well.
final class DifferentialTrain {
    private static let most = 48
    private static let longest = 2_048
    private static let tag = 16
    /// Packets lie side by side or up to this many bytes apart: all alignments.
    private static let widestGap: UInt64 = 64
    private static let capacity = most * (longest + tag + Int(widestGap))

    private(set) var count = 0
    /// The texts' lengths, for the report.
    var lengths: [UInt32] { packets[..<count].map(\.length) }

    /// Of each packet the place in the memory in `text`.
    private var packets: [CipherPacket] = []
    private var places: [Int] = []
    /// Bit i: one bit of packet i is flipped on the way, at `flipped[i]`.
    private var spoiled: UInt64 = 0
    private var flipped: [Int] = []
    private var used = 0
    private var key = [UInt8](repeating: 0, count: 32)

    private let plain = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    private let sealed = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    private let opened = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    private let work = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)

    deinit {
        for memory in [plain, sealed, opened, work] { memory.deallocate() }
    }

    /// Makes the next train: key, lengths, counters, places, contents, which are spoiled, and what is right.
    func fill(_ random: inout SplitMix) {
        key.withUnsafeMutableBytes { Self.fill($0, &random) }
        let shape = random.next() % 8
        count = 1 + Int(random.next() % (shape < 2 ? UInt64(Self.most) : 5))
        spoiled = random.next() & random.next()
        packets.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        flipped.removeAll(keepingCapacity: true)
        used = 0
        for index in 0..<count {
            let length =
                switch shape {
                // A burst: full packets and a rest.
                case 0: index == count - 1 ? random.next() % 1_421 : 1_420
                // Around the vectors' own lengths.
                case 1, 2, 3: random.next() % 300
                case 4: random.next() % UInt64(Self.longest + 1)
                default: random.next() % 130
                }
            used += Int(random.next() % (random.next() % 2 == 0 ? 1 : Self.widestGap))
            places.append(used)
            packets.append(
                CipherPacket(text: work + used, length: UInt32(length), counter: random.next() >> (random.next() % 64)))
            flipped.append(Int(random.next() % ((length + UInt64(Self.tag)) * 8)))
            used += Int(length) + Self.tag
        }
        Self.fill(UnsafeMutableRawBufferPointer(start: plain, count: used), &random)
        seal()
    }

    private func seal() {
        sealed.update(from: plain, count: used)
        opened.update(from: plain, count: used)
        for (packet, place) in zip(packets, places) {
            ChaCha20Poly1305.withNonce(packet.counter) { nonce in
                _ = crypto_aead_chacha20poly1305_ietf_encrypt(
                    sealed + place, nil, plain + place, UInt64(packet.length), nil, 0, nil, nonce, key)
            }
        }
        for index in 0..<count {
            let (place, length) = (places[index], Int(packets[index].length))
            let isSpoiled = spoiled >> index & 1 == 1
            // An opened packet keeps its tag, a spoiled one everything.
            let kept = isSpoiled ? 0 : length
            (opened + place + kept).update(from: sealed + place + kept, count: length + Self.tag - kept)
            if isSpoiled { flip(index, in: opened) }
        }
    }

    private func flip(_ index: Int, in memory: UnsafeMutablePointer<UInt8>) {
        memory[places[index] + flipped[index] / 8] ^= 1 << (flipped[index] % 8)
    }

    /// Seals and opens the train; what the cipher did otherwise than libsodium, if anything.
    func fault(of cipher: inout TrainCipher) -> String? {
        work.update(from: plain, count: used)
        cipher.seal(&packets, count: count, key: key)
        guard memcmp(work, sealed, used) == 0 else { return "seals otherwise" }
        for index in 0..<count where spoiled >> index & 1 == 1 { flip(index, in: work) }
        cipher.open(&packets, count: count, key: key) { _ in true }
        for index in 0..<count where packets[index].isOpened == (spoiled >> index & 1 == 1) {
            return "has the wrong verdict on packet \(index)"
        }
        return memcmp(work, opened, used) == 0 ? nil : "opens otherwise"
    }

    private static func fill(_ bytes: UnsafeMutableRawBufferPointer, _ random: inout SplitMix) {
        let words = bytes.count / 8
        for index in 0..<words { bytes.storeBytes(of: random.next(), toByteOffset: index * 8, as: UInt64.self) }
        for index in (words * 8)..<bytes.count { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
    }
}
