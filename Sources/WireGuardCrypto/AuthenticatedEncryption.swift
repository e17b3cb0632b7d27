import CSodium

/// ChaCha20-Poly1305 (RFC 8439) for single messages: the handshake's fields. Data packets go through `TrainCipher`.
///
/// Keys are 32 bytes. Sealed text is 16 bytes longer than the text. Output may be exactly the input's memory.
public enum ChaCha20Poly1305 {
    public static let tagByteCount = 16

    /// AEAD of the whitepaper: the nonce is four zero bytes and the little-endian counter (checklist N5).
    /// Writes `text.count` + 16 bytes.
    public static func seal(
        _ text: UnsafeRawBufferPointer, counter: UInt64, authenticating aad: UnsafeRawBufferPointer,
        key: UnsafeRawPointer,
        into output: UnsafeMutableRawPointer
    ) {
        withNonce(counter) { seal(text, nonce: $0, authenticating: aad, key: key, into: output) }
    }

    /// False when the tag does not fit; `output` (`sealed.count` - 16 bytes) then holds nothing of the text.
    public static func open(
        _ sealed: UnsafeRawBufferPointer, counter: UInt64, authenticating aad: UnsafeRawBufferPointer,
        key: UnsafeRawPointer,
        into output: UnsafeMutableRawPointer
    ) -> Bool {
        withNonce(counter) { open(sealed, nonce: $0, authenticating: aad, key: key, into: output) }
    }

    /// With any nonce of 12 bytes, as in RFC 8439; WireGuard's own are counters.
    static func seal(
        _ text: UnsafeRawBufferPointer, nonce: UnsafePointer<UInt8>, authenticating aad: UnsafeRawBufferPointer,
        key: UnsafeRawPointer, into output: UnsafeMutableRawPointer
    ) {
        _ = crypto_aead_chacha20poly1305_ietf_encrypt(
            output.bytes, nil, text.bytes, UInt64(text.count), aad.bytes, UInt64(aad.count), nil, nonce, key.bytes)
    }

    static func open(
        _ sealed: UnsafeRawBufferPointer, nonce: UnsafePointer<UInt8>, authenticating aad: UnsafeRawBufferPointer,
        key: UnsafeRawPointer, into output: UnsafeMutableRawPointer
    ) -> Bool {
        guard let text = sealed.bytes, sealed.count >= tagByteCount else { return false }
        return crypto_aead_chacha20poly1305_ietf_decrypt(
            output.bytes, nil, nil, text, UInt64(sealed.count), aad.bytes, UInt64(aad.count), nonce, key.bytes) == 0
    }

    static func withNonce<Result>(_ counter: UInt64, _ body: (UnsafePointer<UInt8>) -> Result) -> Result {
        // Three words, so that the layout is the wire's: 0 ‖ low ‖ high.
        var nonce = (
            UInt32(0), UInt32(truncatingIfNeeded: counter).littleEndian,
            UInt32(truncatingIfNeeded: counter &>> 32).littleEndian
        )
        return withUnsafeBytes(of: &nonce) { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a nonce of no bytes") }
            return body(base.bytes)
        }
    }
}

/// XChaCha20-Poly1305 with a random 24-byte nonce (draft-irtf-cfrg-xchacha-03): the cookie reply (checklist C3).
public enum XChaCha20Poly1305 {
    public static let nonceByteCount = 24
    public static let tagByteCount = 16

    /// Writes `text.count` + 16 bytes.
    public static func seal(
        _ text: UnsafeRawBufferPointer, nonce: UnsafeRawPointer, authenticating aad: UnsafeRawBufferPointer,
        key: UnsafeRawPointer,
        into output: UnsafeMutableRawPointer
    ) {
        _ = crypto_aead_xchacha20poly1305_ietf_encrypt(
            output.bytes, nil, text.bytes, UInt64(text.count), aad.bytes, UInt64(aad.count), nil, nonce.bytes, key.bytes
        )
    }

    /// False when the tag does not fit; `output` (`sealed.count` - 16 bytes) then holds nothing of the text.
    public static func open(
        _ sealed: UnsafeRawBufferPointer, nonce: UnsafeRawPointer, authenticating aad: UnsafeRawBufferPointer,
        key: UnsafeRawPointer, into output: UnsafeMutableRawPointer
    ) -> Bool {
        guard let text = sealed.bytes, sealed.count >= tagByteCount else { return false }
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            output.bytes, nil, nil, text, UInt64(sealed.count), aad.bytes, UInt64(aad.count), nonce.bytes, key.bytes)
            == 0
    }
}

// libsodium speaks `unsigned char *`.
extension UnsafeRawPointer {
    var bytes: UnsafePointer<UInt8> { assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawPointer {
    var bytes: UnsafeMutablePointer<UInt8> { assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeRawBufferPointer {
    fileprivate var bytes: UnsafePointer<UInt8>? { baseAddress?.bytes }
}
