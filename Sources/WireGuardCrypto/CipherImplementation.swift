import CSodium

/// The ways to seal and open a train. All give the same bytes; they differ in speed.
public enum CipherImplementation: String, CaseIterable, Sendable {
    /// libsodium's primitives, composed (`ComposedCipher`).
    case composed

    /// What this machine can run and what passed the self-test, slowest first.
    public static let available: [CipherImplementation] = {
        precondition(sodium_init() >= 0, "libsodium refuses to start")
        return [.composed]
    }()

    public static let fastest: CipherImplementation = available.last ?? .composed

    func seal(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) {
        switch self {
        case .composed: ComposedCipher.seal(packets, count, key, scratch)
        }
    }

    func verify(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) -> Int {
        switch self {
        case .composed: ComposedCipher.verify(packets, count, key, scratch)
        }
    }

    func decrypt(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) {
        switch self {
        case .composed: ComposedCipher.decrypt(packets, count, key, scratch)
        }
    }
}
