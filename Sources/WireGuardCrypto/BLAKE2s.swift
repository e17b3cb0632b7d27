import CSodium

/// BLAKE2s (RFC 7693): the hash and the keyed MAC of WireGuard. libsodium has only BLAKE2b, so this one is ours.
///
/// Theory of operation. The state is a plain value without any allocation, so a handshake hashes on the stack of
/// the control thread and the receive thread checks mac1 without touching the heap. The compression is written
/// out in scalars: its four independent steps fill a CPU's units, and SIMD4 values of the Swift baseline (SSE2, without
/// a rotation or a byte shuffle) took three times as long. No branch or address depends on the data. Whoever puts
/// secrets in calls `finish`, which wipes the state, or `wipe`.
public struct BLAKE2s {
    /// HASHLEN of the whitepaper.
    public static let hashByteCount = 32
    /// The length of mac1, mac2 and the cookie (checklist C1, C2).
    public static let macByteCount = 16
    static let blockByteCount = 64
    static let maximumKeyByteCount = 32

    /// The chained value h[0..7].
    private var low: SIMD4<UInt32>
    private var high: SIMD4<UInt32>
    /// Bytes compressed so far (t of the RFC).
    private var compressed: UInt64 = 0
    /// The last block is kept back until more bytes or the end come: it is compressed with the final flag.
    private var block: Block = (.zero, .zero, .zero, .zero)
    private var filled = 0
    private let outputByteCount: Int

    typealias Block = (SIMD4<UInt32>, SIMD4<UInt32>, SIMD4<UInt32>, SIMD4<UInt32>)

    /// Unkeyed, `outputByteCount` of 1 to 32.
    @inlinable public init(outputByteCount: Int = BLAKE2s.hashByteCount) {
        self.init(outputByteCount: outputByteCount, key: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// Keyed with up to 32 bytes; an empty key is the unkeyed hash.
    public init(outputByteCount: Int, key: UnsafeRawBufferPointer) {
        precondition((1...32).contains(outputByteCount) && key.count <= BLAKE2s.maximumKeyByteCount)
        self.outputByteCount = outputByteCount
        low = BLAKE2s.initialLow
        high = BLAKE2s.initialHigh
        // Parameter block word 0: digest length, key length, fanout 1, depth 1 (RFC 7693 §2.5).
        low[0] ^=
            0x0101_0000 ^ UInt32(truncatingIfNeeded: key.count) &<< 8 ^ UInt32(truncatingIfNeeded: outputByteCount)
        guard !key.isEmpty else { return }
        withUnsafeMutableBytes(of: &block) { $0.copyMemory(from: key) }
        filled = BLAKE2s.blockByteCount
    }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard var source = bytes.baseAddress else { return }
        var left = bytes.count
        let room = BLAKE2s.blockByteCount - filled
        if left > room {
            append(source, room)
            compress(byteCount: BLAKE2s.blockByteCount, isLast: false)
            filled = 0
            source += room
            left -= room
            // More than a block left: compress straight from the caller's memory, but never the last block.
            while left > BLAKE2s.blockByteCount {
                block = source.loadUnaligned(as: Block.self)
                compress(byteCount: BLAKE2s.blockByteCount, isLast: false)
                source += BLAKE2s.blockByteCount
                left -= BLAKE2s.blockByteCount
            }
        }
        append(source, left)
    }

    /// Writes the digest (`outputByteCount` bytes) and wipes the state, which cannot be used again.
    public mutating func finish(into output: UnsafeMutableRawPointer) {
        let unused = BLAKE2s.blockByteCount - filled
        withUnsafeMutableBytes(of: &block) { buffer in
            guard unused > 0, let base = buffer.baseAddress else { return }
            (base + (BLAKE2s.blockByteCount - unused)).initializeMemory(as: UInt8.self, repeating: 0, count: unused)
        }
        compress(byteCount: filled, isLast: true)
        var digest = (low, high)
        withUnsafeMutableBytes(of: &digest) { buffer in
            guard let base = buffer.baseAddress else { return }
            output.copyMemory(from: base, byteCount: outputByteCount)
            sodium_memzero(base, buffer.count)
        }
        wipe()
    }

    public mutating func wipe() {
        sodium_memzero(&self, MemoryLayout<BLAKE2s>.size)
    }

    private mutating func append(_ source: UnsafeRawPointer, _ count: Int) {
        withUnsafeMutableBytes(of: &block) { buffer in
            guard count > 0, let base = buffer.baseAddress else { return }
            (base + filled).copyMemory(from: source, byteCount: count)
        }
        filled += count
    }

    // IV of RFC 7693 §2.6 (that of SHA-256).
    fileprivate static let initialLow = SIMD4<UInt32>(0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A)
    fileprivate static let initialHigh = SIMD4<UInt32>(0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19)

    /// F of RFC 7693 §3.2 over `block`.
    private mutating func compress(byteCount: Int, isLast: Bool) {
        compressed &+= UInt64(truncatingIfNeeded: byteCount)
        var v = WorkingVector(
            low, high, UInt32(truncatingIfNeeded: compressed), UInt32(truncatingIfNeeded: compressed &>> 32),
            isLast ? .max : 0)
        let (m0, m1, m2, m3) = words(block.0)
        let (m4, m5, m6, m7) = words(block.1)
        let (m8, m9, m10, m11) = words(block.2)
        let (m12, m13, m14, m15) = words(block.3)
        // SIGMA of RFC 7693 §2.7, one line per round.
        v.round(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15)
        v.round(m14, m10, m4, m8, m9, m15, m13, m6, m1, m12, m0, m2, m11, m7, m5, m3)
        v.round(m11, m8, m12, m0, m5, m2, m15, m13, m10, m14, m3, m6, m7, m1, m9, m4)
        v.round(m7, m9, m3, m1, m13, m12, m11, m14, m2, m6, m5, m10, m4, m0, m15, m8)
        v.round(m9, m0, m5, m7, m2, m4, m10, m15, m14, m1, m11, m12, m6, m8, m3, m13)
        v.round(m2, m12, m6, m10, m0, m11, m8, m3, m4, m13, m7, m5, m15, m14, m1, m9)
        v.round(m12, m5, m1, m15, m14, m13, m4, m10, m0, m7, m6, m3, m9, m2, m8, m11)
        v.round(m13, m11, m7, m14, m12, m1, m3, m9, m5, m0, m15, m4, m8, m6, m2, m10)
        v.round(m6, m15, m14, m9, m11, m3, m0, m8, m12, m2, m13, m7, m1, m4, m10, m5)
        v.round(m10, m2, m8, m4, m7, m6, m1, m5, m15, m11, m9, m14, m3, m12, m13, m0)
        low ^= v.low
        high ^= v.high
    }
}

@inline(__always)
private func words(_ part: SIMD4<UInt32>) -> (UInt32, UInt32, UInt32, UInt32) {
    (part[0].littleEndian, part[1].littleEndian, part[2].littleEndian, part[3].littleEndian)
}

/// v[0..15] of RFC 7693 §3.2.
private struct WorkingVector {
    private var v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15: UInt32

    @inline(__always)
    init(_ low: SIMD4<UInt32>, _ high: SIMD4<UInt32>, _ countLow: UInt32, _ countHigh: UInt32, _ final: UInt32) {
        let (first, second) = (BLAKE2s.initialLow, BLAKE2s.initialHigh)
        (v0, v1, v2, v3) = (low[0], low[1], low[2], low[3])
        (v4, v5, v6, v7) = (high[0], high[1], high[2], high[3])
        (v8, v9, v10, v11) = (first[0], first[1], first[2], first[3])
        (v12, v13, v14, v15) = (second[0] ^ countLow, second[1] ^ countHigh, second[2] ^ final, second[3])
    }

    /// The two halves, folded: what h is mixed with.
    @inline(__always)
    var low: SIMD4<UInt32> { SIMD4(v0 ^ v8, v1 ^ v9, v2 ^ v10, v3 ^ v11) }
    @inline(__always)
    var high: SIMD4<UInt32> { SIMD4(v4 ^ v12, v5 ^ v13, v6 ^ v14, v7 ^ v15) }

    /// Four columns, then four diagonals.
    @inline(__always)
    mutating func round(
        _ m0: UInt32, _ m1: UInt32, _ m2: UInt32, _ m3: UInt32, _ m4: UInt32, _ m5: UInt32, _ m6: UInt32, _ m7: UInt32,
        _ m8: UInt32, _ m9: UInt32, _ m10: UInt32, _ m11: UInt32, _ m12: UInt32, _ m13: UInt32, _ m14: UInt32,
        _ m15: UInt32
    ) {
        mix(&v0, &v4, &v8, &v12, m0, m1)
        mix(&v1, &v5, &v9, &v13, m2, m3)
        mix(&v2, &v6, &v10, &v14, m4, m5)
        mix(&v3, &v7, &v11, &v15, m6, m7)
        mix(&v0, &v5, &v10, &v15, m8, m9)
        mix(&v1, &v6, &v11, &v12, m10, m11)
        mix(&v2, &v7, &v8, &v13, m12, m13)
        mix(&v3, &v4, &v9, &v14, m14, m15)
    }
}

/// G of RFC 7693 §3.1.
@inline(__always)
private func mix(_ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32, _ d: inout UInt32, _ x: UInt32, _ y: UInt32) {
    a = a &+ b &+ x
    d = rotated(d ^ a, by: 16)
    c = c &+ d
    b = rotated(b ^ c, by: 12)
    a = a &+ b &+ y
    d = rotated(d ^ a, by: 8)
    c = c &+ d
    b = rotated(b ^ c, by: 7)
}

@inline(__always)
private func rotated(_ word: UInt32, by bits: UInt32) -> UInt32 { word &>> bits | word &<< (32 &- bits) }
