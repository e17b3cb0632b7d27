import LinuxSystem
import WireGuardCrypto

/// The two messages of Noise_IKpsk2, each written and read (checklist N3, N4; kernel noise.c):
///
///     <- s
///     ...
///     -> e, es, s, ss, {timestamp}
///     <- e, ee, se, psk, {}
///
/// Pure functions over a symmetric state and raw messages: no peer, no device, no clock. A nil or false leaves
/// nothing behind but a used-up state, which the caller throws away. Payloads are of any length, as in Noise;
/// WireGuard's are a timestamp and nothing.
enum NoiseHandshake {
    /// The parts of a message by offset. Encrypted parts end where the next begins.
    struct InitiationParts {
        let ephemeral: UnsafeMutableRawPointer
        let encryptedStatic: UnsafeMutableRawPointer
        let encryptedPayload: UnsafeMutableRawPointer
    }

    struct ResponseParts {
        let ephemeral: UnsafeMutableRawPointer
        let encryptedPayload: UnsafeMutableRawPointer
    }

    static let keyByteCount = 32

    /// False when a Diffie-Hellman result is zero: the peer's key is of low order (checklist N6).
    static func writeInitiation(
        _ state: borrowing NoiseSymmetricState, ephemeral: borrowing LockedKey, localStatic: PublicKey,
        remoteStatic: PublicKey, staticStatic: borrowing LockedKey, payload: UnsafeRawBufferPointer,
        to parts: InitiationParts
    ) -> Bool {
        X25519.publicKey(privateKey: ephemeral.pointer, into: parts.ephemeral)
        state.mixEphemeral(UnsafeRawBufferPointer(start: parts.ephemeral, count: keyByteCount))
        guard mix(state, ephemeral, remoteStatic) else { return false }
        localStatic.withBytes { state.encrypt($0, into: parts.encryptedStatic) }
        guard state.mixPrecomputed(staticStatic) else { return false }
        state.encrypt(payload, into: parts.encryptedPayload)
        return true
    }

    /// The first half, up to who it claims to be; nil when it is not for us.
    static func readInitiator(
        _ state: borrowing NoiseSymmetricState, localPrivate: PrivateKey, ephemeral: UnsafeRawBufferPointer,
        encryptedStatic: UnsafeRawBufferPointer
    ) -> PublicKey? {
        state.mixEphemeral(ephemeral)
        guard let remoteEphemeral = ephemeral.baseAddress, mix(state, localPrivate, remoteEphemeral) else { return nil }
        var remoteStatic = InlineArray<32, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &remoteStatic) { bytes in
            guard let output = bytes.baseAddress, state.decrypt(encryptedStatic, into: output) else { return nil }
            return PublicKey(copying: UnsafeRawBufferPointer(bytes))
        }
    }

    /// The second half: proves it. Writes the payload.
    static func readInitiationPayload(
        _ state: borrowing NoiseSymmetricState, staticStatic: borrowing LockedKey,
        encryptedPayload: UnsafeRawBufferPointer,
        into payload: UnsafeMutableRawPointer
    ) -> Bool {
        state.mixPrecomputed(staticStatic) && state.decrypt(encryptedPayload, into: payload)
    }

    static func writeResponse(
        _ state: borrowing NoiseSymmetricState, ephemeral: borrowing LockedKey, remoteEphemeral: UnsafeRawPointer,
        remoteStatic: PublicKey, preshared: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer,
        to parts: ResponseParts
    ) -> Bool {
        X25519.publicKey(privateKey: ephemeral.pointer, into: parts.ephemeral)
        state.mixEphemeral(UnsafeRawBufferPointer(start: parts.ephemeral, count: keyByteCount))
        guard state.mixSharedSecret(privateKey: ephemeral.pointer, publicKey: remoteEphemeral),
            mix(state, ephemeral, remoteStatic)
        else { return false }
        state.mixPresharedKey(preshared)
        state.encrypt(payload, into: parts.encryptedPayload)
        return true
    }

    /// On a copy of the handshake's state (checklist N9).
    static func readResponse(
        _ state: borrowing NoiseSymmetricState, localEphemeral: borrowing LockedKey, localPrivate: PrivateKey,
        preshared: UnsafeRawBufferPointer, ephemeral: UnsafeRawBufferPointer, encryptedPayload: UnsafeRawBufferPointer,
        into payload: UnsafeMutableRawPointer
    ) -> Bool {
        state.mixEphemeral(ephemeral)
        guard let remoteEphemeral = ephemeral.baseAddress,
            state.mixSharedSecret(privateKey: localEphemeral.pointer, publicKey: remoteEphemeral),
            mix(state, localPrivate, remoteEphemeral)
        else { return false }
        state.mixPresharedKey(preshared)
        return state.decrypt(encryptedPayload, into: payload)
    }

    private static func mix(
        _ state: borrowing NoiseSymmetricState, _ privateKey: borrowing LockedKey, _ publicKey: PublicKey
    ) -> Bool {
        let secret = privateKey.pointer
        return publicKey.withBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            return state.mixSharedSecret(privateKey: secret, publicKey: base)
        }
    }

    private static func mix(
        _ state: borrowing NoiseSymmetricState, _ privateKey: PrivateKey, _ publicKey: UnsafeRawPointer
    ) -> Bool {
        privateKey.secret.withBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            return state.mixSharedSecret(privateKey: base, publicKey: publicKey)
        }
    }
}
