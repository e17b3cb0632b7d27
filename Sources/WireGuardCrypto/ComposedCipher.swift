import CSodium
import LinuxSystem

/// The train cipher from libsodium's primitives.
///
/// libsodium's own AEAD call makes two ChaCha20 calls per packet, and its vector code is fast only in strides of
/// 512 bytes. Here one call makes the keystream of the whole packet, block 0 (the Poly1305 key) included, rounded
/// up to the stride, into scratch memory: about a quarter cheaper, bit for bit the same. Texts longer than the
/// scratch are left to the AEAD call.
enum ComposedCipher {
    static func seal(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) {
        let stream = scratch + CipherScratch.keystreamOffset
        var used = 0
        for index in 0..<count {
            let (text, length) = (packets[index].text, Int(packets[index].length))
            let streamed = keystreamByteCount(length)
            ChaCha20Poly1305.withNonce(packets[index].counter) { nonce in
                guard streamed <= CipherScratch.keystreamByteCount else {
                    _ = crypto_aead_chacha20poly1305_ietf_encrypt_detached(
                        text, text + length, nil, text, UInt64(length), nil, 0, nil, nonce, key.bytes)
                    return
                }
                _ = crypto_stream_chacha20_ietf(stream.bytes, UInt64(streamed), nonce, key.bytes)
                exclusiveOr(text, stream + blockByteCount, length)
                authenticate(text, length, oneTimeKey: stream, scratch, into: UnsafeMutableRawPointer(text + length))
                used = max(used, streamed)
            }
        }
        sodium_memzero(scratch, CipherScratch.keystreamOffset + used)
    }

    static func verify(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) -> Int {
        var used = 0
        for index in 0..<count {
            let (text, length) = (packets[index].text, Int(packets[index].length))
            let streamed = keystreamByteCount(length)
            if streamed > CipherScratch.keystreamByteCount {
                // Alone in its group, so that `decrypt` finds the others' keystream.
                guard index == 0 else { return index }
                packets[index].isAuthentic = ChaCha20Poly1305.withNonce(packets[index].counter) { nonce in
                    // Without an output libsodium only verifies.
                    crypto_aead_chacha20poly1305_ietf_decrypt_detached(
                        nil, nil, text, UInt64(length), text + length, nil, 0, nonce, key.bytes) == 0
                }
                return 1
            }
            guard used + streamed <= CipherScratch.keystreamByteCount else { return index }
            let stream = scratch + CipherScratch.keystreamOffset + used
            ChaCha20Poly1305.withNonce(packets[index].counter) { nonce in
                _ = crypto_stream_chacha20_ietf(stream.bytes, UInt64(streamed), nonce, key.bytes)
            }
            let tag = scratch + CipherScratch.tagOffset
            authenticate(text, length, oneTimeKey: stream, scratch, into: tag)
            packets[index].isAuthentic = ConstantTime.equal(tag, text + length, byteCount: TrainCipher.tagByteCount)
            used += streamed
        }
        return count
    }

    static func decrypt(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer,
        _ scratch: UnsafeMutableRawPointer
    ) {
        var used = 0
        for index in 0..<count {
            let (text, length) = (packets[index].text, Int(packets[index].length))
            let streamed = keystreamByteCount(length)
            if streamed > CipherScratch.keystreamByteCount {
                guard packets[index].isOpened else { continue }
                ChaCha20Poly1305.withNonce(packets[index].counter) { nonce in
                    _ = crypto_stream_chacha20_ietf_xor_ic(text, text, UInt64(length), nonce, 1, key.bytes)
                }
                continue
            }
            if packets[index].isOpened {
                exclusiveOr(text, scratch + CipherScratch.keystreamOffset + used + blockByteCount, length)
            }
            used += streamed
        }
        sodium_memzero(scratch, CipherScratch.keystreamOffset + used)
    }

    private static let blockByteCount = 64

    /// Block 0 and the text's, rounded up to a stride that libsodium is fast at.
    private static func keystreamByteCount(_ length: Int) -> Int {
        let exact = blockByteCount + length
        if exact <= 64 { return 64 }
        if exact <= 256 { return 256 }
        return (exact + 511) & ~511
    }

    /// Poly1305 of RFC 8439 §2.8 without additional data: text, zeros up to 16 bytes, LE64(0), LE64(length).
    private static func authenticate(
        _ text: UnsafePointer<UInt8>, _ length: Int, oneTimeKey: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer,
        into tag: UnsafeMutableRawPointer
    ) {
        let state = scratch.assumingMemoryBound(to: crypto_onetimeauth_poly1305_state.self)
        let padding = -length & 15
        var trailer = (UInt64(0), UInt64(0), UInt64(0), UInt64(length).littleEndian)
        withUnsafeBytes(of: &trailer) { buffer in
            guard let base = buffer.baseAddress else { return }
            _ = crypto_onetimeauth_poly1305_init(state, oneTimeKey.bytes)
            _ = crypto_onetimeauth_poly1305_update(state, text, UInt64(length))
            _ = crypto_onetimeauth_poly1305_update(state, (base + (16 - padding)).bytes, UInt64(padding + 16))
            _ = crypto_onetimeauth_poly1305_final(state, tag.bytes)
        }
    }

    private static func exclusiveOr(_ text: UnsafeMutablePointer<UInt8>, _ stream: UnsafeRawPointer, _ count: Int) {
        let text = UnsafeMutableRawPointer(text)
        var offset = 0
        while offset + 32 <= count {
            let mixed =
                text.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
                ^ stream.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
            text.storeBytes(of: mixed, toByteOffset: offset, as: SIMD4<UInt64>.self)
            offset += 32
        }
        while offset < count {
            let mixed =
                text.load(fromByteOffset: offset, as: UInt8.self) ^ stream.load(fromByteOffset: offset, as: UInt8.self)
            text.storeBytes(of: mixed, toByteOffset: offset, as: UInt8.self)
            offset += 1
        }
    }
}

/// The parts of a cipher's scratch memory.
enum CipherScratch {
    /// Poly1305 state from offset 0.
    static let tagOffset = 448
    static let keystreamOffset = 512
    /// Eleven full packets' worth: with their texts it stays in a first-level cache of 48 KiB.
    static let keystreamByteCount = 36 * 512
    /// In whole pages, enough for CTrainCipher, too.
    static let byteCount = 5 * LockedMemory.pageBytes
}
