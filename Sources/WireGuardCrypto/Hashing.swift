import CSodium

// The four uses WireGuard makes of BLAKE2s. All take raw memory, so that they work on secrets in locked slots,
// and none allocates. Outputs may be the memory of an input.

extension BLAKE2s {
    /// HASH of the whitepaper: the concatenation of up to three pieces. Writes 32 bytes.
    public static func hash(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer = .empty,
        _ third: UnsafeRawBufferPointer = .empty,
        into output: UnsafeMutableRawPointer
    ) {
        var state = BLAKE2s()
        state.update(first)
        state.update(second)
        state.update(third)
        state.finish(into: output)
    }

    /// MAC of the whitepaper (checklist C1, C2): keyed BLAKE2s of the concatenation, key of up to 32 bytes. Writes 16 bytes.
    public static func mac(
        key: UnsafeRawBufferPointer, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer = .empty,
        into output: UnsafeMutableRawPointer
    ) {
        var state = BLAKE2s(outputByteCount: macByteCount, key: key)
        state.update(first)
        state.update(second)
        state.finish(into: output)
    }

    /// Whether `expected` (16 bytes) is the MAC, in constant time (checklist N11).
    public static func isMAC(
        _ expected: UnsafeRawPointer, key: UnsafeRawBufferPointer, _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer = .empty
    ) -> Bool {
        withSecretTemporary(macByteCount) { computed in
            mac(key: key, first, second, into: computed)
            return ConstantTime.equal(computed, expected, byteCount: macByteCount)
        }
    }
}

/// HMAC-BLAKE2s (checklist N2): RFC 2104 with a 64-byte block around the unkeyed hash, not keyed BLAKE2s.
public enum HMAC {
    /// A key of up to 64 bytes; writes 32 bytes.
    public static func authenticate(
        key: UnsafeRawBufferPointer, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer = .empty,
        into output: UnsafeMutableRawPointer
    ) {
        precondition(key.count <= BLAKE2s.blockByteCount)
        withSecretTemporary(BLAKE2s.blockByteCount + BLAKE2s.hashByteCount) { scratch in
            let pad = UnsafeMutableRawBufferPointer(start: scratch, count: BLAKE2s.blockByteCount)
            let inner = scratch + BLAKE2s.blockByteCount
            for index in 0..<BLAKE2s.blockByteCount { pad[index] = (index < key.count ? key[index] : 0) ^ 0x36 }
            var state = BLAKE2s()
            state.update(UnsafeRawBufferPointer(pad))
            state.update(first)
            state.update(second)
            state.finish(into: inner)
            for index in 0..<BLAKE2s.blockByteCount { pad[index] ^= 0x36 ^ 0x5c }
            BLAKE2s.hash(
                UnsafeRawBufferPointer(pad), UnsafeRawBufferPointer(start: inner, count: BLAKE2s.hashByteCount),
                into: output)
        }
    }
}

/// KDFn of the whitepaper (checklist N2): HKDF (RFC 5869) with HMAC-BLAKE2s; `chainingKey` is 32 bytes, so is
/// each output.
public enum KDF {
    public static func derive1(
        chainingKey: UnsafeRawPointer, input: UnsafeRawBufferPointer, into first: UnsafeMutableRawPointer
    ) {
        withExtracted(chainingKey, input) { secret in
            expand(secret, previous: nil, index: 1, into: first)
        }
    }

    public static func derive2(
        chainingKey: UnsafeRawPointer, input: UnsafeRawBufferPointer, into first: UnsafeMutableRawPointer,
        _ second: UnsafeMutableRawPointer
    ) {
        withExtracted(chainingKey, input) { secret in
            expand(secret, previous: nil, index: 1, into: first)
            expand(secret, previous: first, index: 2, into: second)
        }
    }

    public static func derive3(
        chainingKey: UnsafeRawPointer, input: UnsafeRawBufferPointer, into first: UnsafeMutableRawPointer,
        _ second: UnsafeMutableRawPointer, _ third: UnsafeMutableRawPointer
    ) {
        withExtracted(chainingKey, input) { secret in
            expand(secret, previous: nil, index: 1, into: first)
            expand(secret, previous: first, index: 2, into: second)
            expand(secret, previous: second, index: 3, into: third)
        }
    }

    /// τ0 = HMAC(chaining key, input), wiped afterwards.
    private static func withExtracted(
        _ chainingKey: UnsafeRawPointer, _ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        withSecretTemporary(BLAKE2s.hashByteCount) { secret in
            let key = UnsafeRawBufferPointer(start: chainingKey, count: BLAKE2s.hashByteCount)
            HMAC.authenticate(key: key, input, into: secret)
            body(UnsafeRawBufferPointer(start: secret, count: BLAKE2s.hashByteCount))
        }
    }

    /// τi = HMAC(τ0, τ(i-1) ‖ i).
    private static func expand(
        _ secret: UnsafeRawBufferPointer, previous: UnsafeMutableRawPointer?, index: UInt8,
        into output: UnsafeMutableRawPointer
    ) {
        var index = index
        withUnsafeBytes(of: &index) { byte in
            let head = UnsafeRawBufferPointer(start: previous, count: previous == nil ? 0 : BLAKE2s.hashByteCount)
            HMAC.authenticate(key: secret, head, byte, into: output)
        }
    }
}

extension UnsafeRawBufferPointer {
    /// No bytes at all: the "" of the whitepaper's formulas.
    public static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
