import CSodium
import LinuxSystem

/// A Curve25519 public key: 32 bytes that may be shown.
public struct PublicKey: Hashable, Sendable {
    public static let byteCount = 32

    // Four words instead of an array: no allocation, trivially copied, usable as a dictionary key.
    let words: (UInt64, UInt64, UInt64, UInt64)

    /// Exactly 32 bytes, else nil. Low-order points are accepted here (checklist N6).
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == PublicKey.byteCount else { return nil }
        let array = Array(bytes)
        self = array.withUnsafeBytes { PublicKey(copying: $0) }
    }

    /// The first 32 bytes of a larger buffer, which must hold them.
    public init(copying buffer: UnsafeRawBufferPointer) {
        words = (
            buffer.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
            buffer.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            buffer.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
            buffer.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        )
    }

    public func withBytes<Result, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> Result) throws(E) -> Result {
        var copy = words
        return try withUnsafeBytes(of: &copy) { (buffer) throws(E) in try body(buffer) }
    }

    public var bytes: [UInt8] { withBytes { Array($0) } }

    public static func == (left: PublicKey, right: PublicKey) -> Bool {
        left.words.0 == right.words.0 && left.words.1 == right.words.1 && left.words.2 == right.words.2
            && left.words.3 == right.words.3
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }

    public init?(base64: some StringProtocol) {
        guard let bytes = KeyText.decodeBase64(base64.utf8) else { return nil }
        self.init(bytes: bytes)
    }

    public init?(hex: some StringProtocol) {
        guard let bytes = KeyText.decodeHex(hex.utf8) else { return nil }
        self.init(bytes: bytes)
    }

    public var base64: String { KeyText.base64(bytes) }
    public var hex: String { KeyText.hex(bytes) }
}

extension PublicKey: CustomStringConvertible {
    public var description: String { base64 }
}

/// A Curve25519 private key, clamped (checklist N7). Copying it copies a reference to one locked slot, never
/// the bytes.
public struct PrivateKey: SecretKey {
    public let secret: SecretBytes

    /// Clamps. All zeros mean "no key" on every interface of WireGuard, so they are refused here (A6).
    public init?(secret: SecretBytes) {
        if secret.isZero { return nil }
        self.secret = secret
        let bytes = secret.slot.assumingMemoryBound(to: UInt8.self)
        bytes[0] &= 248
        bytes[31] = bytes[31] & 127 | 64
    }

    public var publicKey: PublicKey {
        var result = [UInt8](repeating: 0, count: 32)
        _ = crypto_scalarmult_curve25519_base(&result, secret.slot.assumingMemoryBound(to: UInt8.self))
        return result.withUnsafeBytes { PublicKey(copying: $0) }
    }
}

/// A preshared key (psk of Noise IKpsk2). All zeros mean none (checklist A6).
public struct PresharedKey: SecretKey {
    public let secret: SecretBytes

    public init?(secret: SecretBytes) {
        if secret.isZero { return nil }
        self.secret = secret
    }
}

/// What a private and a preshared key have in common: 32 secret bytes that are not all zeros.
public protocol SecretKey: Equatable, Sendable {
    var secret: SecretBytes { get }
    /// Nil for zeros, which mean "no key".
    init?(secret: SecretBytes)
}

extension SecretKey {
    public static func generate() -> Self {
        // A random zero is impossible in practice, and would only be drawn again.
        Self(secret: SecretBytes { fillRandom($0) }) ?? generate()
    }

    public init?(base64: some StringProtocol) {
        guard let secret = KeyText.secret(base64: base64.utf8) else { return nil }
        self.init(secret: secret)
    }

    public init?(hex: some StringProtocol) {
        guard let secret = KeyText.secret(hex: hex.utf8) else { return nil }
        self.init(secret: secret)
    }
}
