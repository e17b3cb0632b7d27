import CSodium

/// Diffie-Hellman on Curve25519 (RFC 7748), by libsodium, over raw memory of 32 bytes each.
public enum X25519 {
    public static let byteCount = 32

    /// DH of the whitepaper. False when the result is all zeros, decided in constant time; nothing derived from
    /// it may then be used (checklist N6), and `output` holds zeros.
    public static func sharedSecret(
        privateKey: UnsafeRawPointer, publicKey: UnsafeRawPointer, into output: UnsafeMutableRawPointer
    ) -> Bool {
        // libsodium refuses the known low-order points before it writes anything.
        output.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        let bytes = output.assumingMemoryBound(to: UInt8.self)
        let answer = crypto_scalarmult_curve25519(
            bytes, privateKey.assumingMemoryBound(to: UInt8.self), publicKey.assumingMemoryBound(to: UInt8.self))
        return answer == 0 && !ConstantTime.isZero(output, byteCount: byteCount)
    }

    public static func publicKey(privateKey: UnsafeRawPointer, into output: UnsafeMutableRawPointer) {
        // Cannot fail: the base point is fixed and every scalar is clamped.
        _ = crypto_scalarmult_curve25519_base(
            output.assumingMemoryBound(to: UInt8.self), privateKey.assumingMemoryBound(to: UInt8.self))
    }
}

extension PrivateKey {
    /// `X25519.sharedSecret` with keys of our own types; writes 32 bytes.
    public func sharedSecret(with peer: PublicKey, into output: UnsafeMutableRawPointer) -> Bool {
        secret.withBytes { mine in
            peer.withBytes { theirs in
                guard let mine = mine.baseAddress, let theirs = theirs.baseAddress else { return false }
                return X25519.sharedSecret(privateKey: mine, publicKey: theirs, into: output)
            }
        }
    }
}
