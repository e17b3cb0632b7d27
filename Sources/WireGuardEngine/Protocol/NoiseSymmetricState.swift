import LinuxSystem
import WireGuardCrypto

/// The symmetric state of a Noise handshake: chaining key, hash and the last derived key (Noise revision 34 §5.2;
/// checklist N1 to N5).
///
/// All three lie in locked slots and are wiped with the value (checklist N12). Every key encrypts one message, so
/// the nonce is always zero.
struct NoiseSymmetricState: ~Copyable {
    /// CONSTRUCTION of the whitepaper: the Noise protocol name.
    static let construction: StaticString = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
    /// IDENTIFIER of the whitepaper: the prologue.
    static let identifier: StaticString = "WireGuard v1 zx2c4 Jason@zx2c4.com"
    static let hashByteCount = 32

    let chainingKey: LockedKey
    let hash: LockedKey
    let key = LockedKey()

    /// Before the first message: the protocol's name, the prologue and the responder's static key are mixed in.
    init(prologue: UnsafeRawBufferPointer = identifier.bytes, responder: PublicKey) {
        chainingKey = LockedKey()
        hash = LockedKey()
        BLAKE2s.hash(NoiseSymmetricState.construction.bytes, into: chainingKey.pointer)
        BLAKE2s.hash(chainingKey.buffer, prologue, into: hash.pointer)
        responder.withBytes { mixHash($0) }
    }

    private init(copying other: borrowing NoiseSymmetricState) {
        chainingKey = LockedKey(copying: other.chainingKey.pointer)
        hash = LockedKey(copying: other.hash.pointer)
    }

    /// To try a message on without harm to the handshake (checklist N9).
    func copy() -> NoiseSymmetricState { NoiseSymmetricState(copying: self) }

    func mixHash(_ bytes: UnsafeRawBufferPointer) { BLAKE2s.hash(hash.buffer, bytes, into: hash.pointer) }

    /// An ephemeral key is mixed into both, as every Noise handshake with a preshared key does (checklist N2).
    func mixEphemeral(_ publicKey: UnsafeRawBufferPointer) {
        mixHash(publicKey)
        KDF.derive1(chainingKey: chainingKey.pointer, input: publicKey, into: chainingKey.pointer)
    }

    /// A Diffie-Hellman result; false, and nothing mixed, when it is zero (checklist N6).
    func mixSharedSecret(privateKey: UnsafeRawPointer, publicKey: UnsafeRawPointer) -> Bool {
        let shared = LockedKey()
        guard X25519.sharedSecret(privateKey: privateKey, publicKey: publicKey, into: shared.pointer) else {
            return false
        }
        mixKey(shared.buffer)
        return true
    }

    /// The same, computed before; zeros stand for "none".
    func mixPrecomputed(_ shared: borrowing LockedKey) -> Bool {
        if ConstantTime.isZero(shared.pointer, byteCount: LockedKey.byteCount) { return false }
        mixKey(shared.buffer)
        return true
    }

    private func mixKey(_ input: UnsafeRawBufferPointer) {
        KDF.derive2(chainingKey: chainingKey.pointer, input: input, into: chainingKey.pointer, key.pointer)
    }

    /// MixKeyAndHash: the preshared key, which is 32 zeros when there is none (checklist N4).
    func mixPresharedKey(_ preshared: UnsafeRawBufferPointer) {
        let temporary = LockedKey()
        KDF.derive3(
            chainingKey: chainingKey.pointer, input: preshared, into: chainingKey.pointer, temporary.pointer,
            key.pointer)
        mixHash(temporary.buffer)
    }

    /// EncryptAndHash: writes `text.count` + 16 bytes.
    func encrypt(_ text: UnsafeRawBufferPointer, into output: UnsafeMutableRawPointer) {
        ChaCha20Poly1305.seal(text, counter: 0, authenticating: hash.buffer, key: key.pointer, into: output)
        mixHash(UnsafeRawBufferPointer(start: output, count: text.count + ChaCha20Poly1305.tagByteCount))
    }

    /// DecryptAndHash: writes `sealed.count` - 16 bytes; false when the tag is wrong.
    func decrypt(_ sealed: UnsafeRawBufferPointer, into output: UnsafeMutableRawPointer) -> Bool {
        guard ChaCha20Poly1305.open(sealed, counter: 0, authenticating: hash.buffer, key: key.pointer, into: output)
        else { return false }
        mixHash(sealed)
        return true
    }

    /// Split: the initiator sends with the first key and receives with the second (checklist N5).
    consuming func split() -> TransportKeys {
        let keys = TransportKeys()
        KDF.derive2(chainingKey: chainingKey.pointer, input: .empty, into: keys.first.pointer, keys.second.pointer)
        return keys
    }
}

/// The two keys of a session.
struct TransportKeys: ~Copyable {
    let first = LockedKey()
    let second = LockedKey()
}

extension StaticString {
    fileprivate var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}

extension UnsafeRawBufferPointer {
    /// A part of a message whose length was checked before.
    func part(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[offset..<(offset + count)])
    }
}
