import CSodium
import WireGuardCrypto

/// Seal and open of full packets, of small ones and of a single one, by every implementation this CPU runs, and
/// libsodium's own AEAD call beside them.
func cipherStages() -> [Stage] {
    let shapes = [(44, 1_420), (4, 1_420), (1, 1_420), (44, 96), (1, 96)]
    return shapes.flatMap { count, length in
        CipherImplementation.available.reversed().flatMap { implementation in
            let name = "\(implementation.rawValue)-\(count)x\(length)"
            return [
                Stage(name: "seal-\(name)", unitsPerRun: count) {
                    let train = SealedTrain(implementation, count, length)
                    return { train.seal() }
                },
                Stage(name: "open-\(name)", unitsPerRun: count) {
                    let train = SealedTrain(implementation, count, length)
                    return { train.open() }
                },
            ]
        } + [aeadCall(count, length)]
    }
}

/// Packets at wire stride. `open` decrypts ciphertext that is put back before each run: one copy of the train,
/// which counts as part of it.
private final class SealedTrain {
    private let memory: UnsafeMutableRawPointer
    private let sealed: UnsafeMutableRawPointer
    private let packets: UnsafeMutablePointer<CipherPacket>
    private let byteCount: Int
    private let count: Int
    private let key = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 8)
    private var cipher: TrainCipher

    init(_ implementation: CipherImplementation, _ count: Int, _ length: Int) {
        let stride = length + 32
        self.count = count
        byteCount = count * stride
        memory = .allocate(byteCount: byteCount, alignment: 64)
        sealed = .allocate(byteCount: byteCount, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0x5a, count: byteCount)
        key.initializeMemory(as: UInt8.self, repeating: 0x77, count: 32)
        packets = .allocate(capacity: count)
        for index in 0..<count {
            let text = (memory + index * stride + 16).assumingMemoryBound(to: UInt8.self)
            packets[index] = CipherPacket(text: text, length: UInt32(length), counter: UInt64(index))
        }
        cipher = TrainCipher(implementation)
        cipher.seal(packets, count: count, key: key)
        sealed.copyMemory(from: memory, byteCount: byteCount)
    }

    func seal() { cipher.seal(packets, count: count, key: key) }

    func open() {
        memory.copyMemory(from: sealed, byteCount: byteCount)
        var opened = 0
        cipher.open(packets, count: count, key: key) { _ in
            opened += 1
            return true
        }
        precondition(opened == count)
    }
}

private func aeadCall(_ count: Int, _ length: Int) -> Stage {
    Stage(name: "seal-libsodium-call-\(count)x\(length)", unitsPerRun: count) {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: length + 16)
        memory.initialize(repeating: 0x5a, count: length + 16)
        let key = UnsafeMutablePointer<UInt8>.allocate(capacity: 32)
        key.initialize(repeating: 0x77, count: 32)
        let nonce = UnsafeMutablePointer<UInt8>.allocate(capacity: 12)
        nonce.initialize(repeating: 0, count: 12)
        return {
            for index in 0..<count {
                nonce[4] = UInt8(truncatingIfNeeded: index)
                _ = crypto_aead_chacha20poly1305_ietf_encrypt_detached(
                    memory, memory + length, nil, memory, UInt64(length), nil, 0, nil, nonce, key)
            }
        }
    }
}
