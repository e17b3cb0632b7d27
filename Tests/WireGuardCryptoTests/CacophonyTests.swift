import Testing

@testable import WireGuardCrypto

/// The primitives together, in the order of Noise_IKpsk2: an independent second writing of the handshake against
/// the Cacophony vector. The engine's own handshake has its own test.
@Suite struct CacophonyTests {
    struct File: Decodable {
        let vectors: [Vector]
    }

    struct Vector: Decodable {
        struct Message: Decodable {
            let payload: String
            let ciphertext: String
        }

        let protocol_name: String
        let init_prologue: String
        let init_psks: [String]
        let init_static: String
        let init_ephemeral: String
        let init_remote_static: String
        let resp_static: String
        let resp_ephemeral: String
        let handshake_hash: String
        let messages: [Message]
    }

    @Test(.enabled(if: VectorFiles.areThere, "no vector files: set SWG_VECTORS"))
    func `N1 to N5: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s gives the messages of Cacophony`() throws {
        let file = try VectorFiles.read("noise/caco_IKpsk2_25519_ChaChaPoly_BLAKE2s.json", as: File.self)
        let vector = try #require(file.vectors.first)
        let (initiator, initiatorEphemeral) = (hex(vector.init_static), hex(vector.init_ephemeral))
        let (responder, responderEphemeral) = (hex(vector.resp_static), hex(vector.resp_ephemeral))
        let responderPublic = publicKey(responder)
        #expect(responderPublic == hex(vector.init_remote_static))

        var state = NoiseState(name: vector.protocol_name, prologue: hex(vector.init_prologue))
        state.mixHash(responderPublic)
        // → e, es, s, ss, payload
        var first = publicKey(initiatorEphemeral)
        state.mixHash(first)
        state.mixKey(first)
        state.mixKey(shared(initiatorEphemeral, responderPublic))
        first += state.encryptAndHash(publicKey(initiator))
        state.mixKey(shared(initiator, responderPublic))
        first += state.encryptAndHash(hex(vector.messages[0].payload))
        #expect(first == hex(vector.messages[0].ciphertext))
        // ← e, ee, se, psk, payload
        var second = publicKey(responderEphemeral)
        state.mixHash(second)
        state.mixKey(second)
        state.mixKey(shared(responderEphemeral, publicKey(initiatorEphemeral)))
        state.mixKey(shared(responderEphemeral, publicKey(initiator)))
        state.mixKeyAndHash(hex(vector.init_psks[0]))
        second += state.encryptAndHash(hex(vector.messages[1].payload))
        #expect(second == hex(vector.messages[1].ciphertext))
        #expect(state.hash == hex(vector.handshake_hash))
        // Transport, in turns, by the data-path cipher.
        var (sending, receiving) = (NoiseState.zeros, NoiseState.zeros)
        KDF.derive2(chainingKey: state.chainingKey, input: .empty, into: &sending, &receiving)
        for implementation in CipherImplementation.available {
            var cipher = TrainCipher(implementation)
            for (index, message) in vector.messages.enumerated().dropFirst(2) {
                let payload = hex(message.payload)
                var memory = payload + [UInt8](repeating: 0, count: 16)
                memory.withUnsafeMutableBufferPointer { memory in
                    guard let base = memory.baseAddress else { return }
                    var packet = CipherPacket(text: base, length: UInt32(payload.count), counter: UInt64(index / 2 - 1))
                    cipher.seal(&packet, count: 1, key: index % 2 == 0 ? sending : receiving)
                }
                #expect(memory == hex(message.ciphertext))
            }
        }
    }

    private func publicKey(_ scalar: [UInt8]) -> [UInt8] {
        var output = NoiseState.zeros
        X25519.publicKey(privateKey: scalar, into: &output)
        return output
    }

    private func shared(_ scalar: [UInt8], _ point: [UInt8]) -> [UInt8] {
        var output = NoiseState.zeros
        #expect(X25519.sharedSecret(privateKey: scalar, publicKey: point, into: &output))
        return output
    }
}

/// SymmetricState of the Noise specification §5.2, in its words.
private struct NoiseState {
    static let zeros = [UInt8](repeating: 0, count: 32)

    var chainingKey: [UInt8]
    var hash: [UInt8]
    var key = NoiseState.zeros
    var counter: UInt64 = 0

    init(name: String, prologue: [UInt8]) {
        var first = NoiseState.zeros
        Array(name.utf8).withUnsafeBytes { BLAKE2s.hash($0, into: &first) }
        (hash, chainingKey) = (first, first)
        mixHash(prologue)
    }

    mutating func mixHash(_ bytes: [UInt8]) {
        var next = NoiseState.zeros
        hash.withUnsafeBytes { hash in bytes.withUnsafeBytes { BLAKE2s.hash(hash, $0, into: &next) } }
        hash = next
    }

    mutating func mixKey(_ input: [UInt8]) {
        var (next, temporary) = (NoiseState.zeros, NoiseState.zeros)
        input.withUnsafeBytes { KDF.derive2(chainingKey: chainingKey, input: $0, into: &next, &temporary) }
        (chainingKey, key, counter) = (next, temporary, 0)
    }

    mutating func mixKeyAndHash(_ input: [UInt8]) {
        var (next, mixed, temporary) = (NoiseState.zeros, NoiseState.zeros, NoiseState.zeros)
        input.withUnsafeBytes { KDF.derive3(chainingKey: chainingKey, input: $0, into: &next, &mixed, &temporary) }
        mixHash(mixed)
        (chainingKey, key, counter) = (next, temporary, 0)
    }

    mutating func encryptAndHash(_ text: [UInt8]) -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: text.count + 16)
        text.withUnsafeBytes { text in
            hash.withUnsafeBytes {
                ChaCha20Poly1305.seal(text, counter: counter, authenticating: $0, key: key, into: &sealed)
            }
        }
        counter += 1
        mixHash(sealed)
        return sealed
    }
}
