import CTrainCipher

/// The ways to seal and open a train. All give the same bytes; they differ in speed.
public enum CipherImplementation: String, CaseIterable, Sendable {
    /// libsodium's primitives, composed (`ComposedCipher`): every CPU.
    case composed
    /// CTrainCipher in 256-bit vectors.
    case avx2
    /// CTrainCipher in 512-bit vectors with IFMA.
    case avx512

    /// All that this machine can run and that pass the self-test, slowest first: for tests and benchmarks.
    public static let available: [CipherImplementation] = {
        startSodium()
        return allCases.filter { $0.isSupported && ($0 == .composed || CipherSelfTest.passes($0)) }
    }()

    /// What the engine uses.
    public static let fastest = choice.fastest

    /// Those that this CPU has the instructions for and that gave a wrong answer all the same: worth a warning.
    public static let refused = choice.refused

    private static let choice = choose(passing: CipherSelfTest.passes)

    /// The fastest one that passes, and those that did not. A slower one is not looked at: it is never used, and its
    /// test would take half a millisecond of every start. A wrong answer, from a broken CPU or compiler, costs only
    /// speed: libsodium itself is the measure and needs no test.
    static func choose(
        passing selfTest: (CipherImplementation) -> Bool
    ) -> (fastest: CipherImplementation, refused: [CipherImplementation]) {
        startSodium()
        var refused: [CipherImplementation] = []
        for candidate in allCases.reversed() where candidate.isSupported && candidate != .composed {
            if selfTest(candidate) { return (candidate, refused) }
            refused.append(candidate)
        }
        return (.composed, refused)
    }

    /// Whether this CPU has the instructions.
    var isSupported: Bool {
        switch self {
        case .composed: true
        case .avx2: swg_train_avx2_supported()
        case .avx512: swg_train_avx512_supported()
        }
    }

    /// Encrypts each text in place and writes its tag, then wipes the scratch.
    func seal(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) {
        switch self {
        case .composed: ComposedCipher.seal(packets, count, key, scratch)
        case .avx2: swg_train_avx2_seal(foreign(packets), count, key.bytes, scratch)
        case .avx512: swg_train_avx512_seal(foreign(packets), count, key.bytes, scratch)
        }
    }

    /// Sets `isAuthentic` of the first packets, at least one of a non-empty train, and says of how many; their
    /// keystream then is in the scratch.
    @usableFromInline func verify(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) -> Int {
        switch self {
        case .composed: ComposedCipher.verify(packets, count, key, scratch)
        case .avx2: swg_train_avx2_verify(foreign(packets), count, key.bytes, scratch)
        case .avx512: swg_train_avx512_verify(foreign(packets), count, key.bytes, scratch)
        }
    }

    /// Decrypts those of a group just verified that have `isOpened`, then wipes the scratch.
    @usableFromInline func decrypt(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) {
        switch self {
        case .composed: ComposedCipher.decrypt(packets, count, key, scratch)
        case .avx2: swg_train_avx2_decrypt(foreign(packets), count, key.bytes, scratch)
        case .avx512: swg_train_avx512_decrypt(foreign(packets), count, key.bytes, scratch)
        }
    }
}

/// The same memory under the name C has for it.
private func foreign(_ packets: UnsafeMutablePointer<CipherPacket>) -> UnsafeMutablePointer<swg_cipher_packet> {
    UnsafeMutableRawPointer(packets).assumingMemoryBound(to: swg_cipher_packet.self)
}
