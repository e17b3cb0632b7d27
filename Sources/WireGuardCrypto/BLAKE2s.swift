import CSodium

/// BLAKE2s (RFC 7693): the hash and the keyed MAC of WireGuard. libsodium has only BLAKE2b, so this one is ours.
///
/// Theory of operation. The state is a plain value without any allocation, so a handshake hashes on the stack of
/// the control thread and the receive thread checks mac1 without touching the heap. The four rows of the working
/// vector are four SIMD4 values: one row operation is the four column (or, after rotating the rows, diagonal)
/// steps of the RFC's G at once. No branch or address depends on the data. Whoever puts secrets in calls
/// `finish`, which wipes the state, or `wipe`.
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
    private static let initialLow = SIMD4<UInt32>(0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A)
    private static let initialHigh = SIMD4<UInt32>(0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19)

    /// F of RFC 7693 §3.2 over `block`.
    private mutating func compress(byteCount: Int, isLast: Bool) {
        compressed &+= UInt64(truncatingIfNeeded: byteCount)
        var work = Rounds(
            a: low, b: high, c: BLAKE2s.initialLow,
            d: BLAKE2s.initialHigh
                ^ SIMD4(
                    UInt32(truncatingIfNeeded: compressed), UInt32(truncatingIfNeeded: compressed &>> 32),
                    isLast ? .max : 0, 0))
        let (m0, m1, m2, m3) = (
            block.0[0].littleEndian, block.0[1].littleEndian, block.0[2].littleEndian, block.0[3].littleEndian
        )
        let (m4, m5, m6, m7) = (
            block.1[0].littleEndian, block.1[1].littleEndian, block.1[2].littleEndian, block.1[3].littleEndian
        )
        let (m8, m9, m10, m11) = (
            block.2[0].littleEndian, block.2[1].littleEndian, block.2[2].littleEndian, block.2[3].littleEndian
        )
        let (m12, m13, m14, m15) = (
            block.3[0].littleEndian, block.3[1].littleEndian, block.3[2].littleEndian, block.3[3].littleEndian
        )
        // SIGMA of RFC 7693 §2.7, one line per round; columns, then diagonals, even and odd words apart.
        work.round(.init(m0, m2, m4, m6), .init(m1, m3, m5, m7), .init(m8, m10, m12, m14), .init(m9, m11, m13, m15))
        work.round(.init(m14, m4, m9, m13), .init(m10, m8, m15, m6), .init(m1, m0, m11, m5), .init(m12, m2, m7, m3))
        work.round(.init(m11, m12, m5, m15), .init(m8, m0, m2, m13), .init(m10, m3, m7, m9), .init(m14, m6, m1, m4))
        work.round(.init(m7, m3, m13, m11), .init(m9, m1, m12, m14), .init(m2, m5, m4, m15), .init(m6, m10, m0, m8))
        work.round(.init(m9, m5, m2, m10), .init(m0, m7, m4, m15), .init(m14, m11, m6, m3), .init(m1, m12, m8, m13))
        work.round(.init(m2, m6, m0, m8), .init(m12, m10, m11, m3), .init(m4, m7, m15, m1), .init(m13, m5, m14, m9))
        work.round(.init(m12, m1, m14, m4), .init(m5, m15, m13, m10), .init(m0, m6, m9, m8), .init(m7, m3, m2, m11))
        work.round(.init(m13, m7, m12, m3), .init(m11, m14, m1, m9), .init(m5, m15, m8, m2), .init(m0, m4, m6, m10))
        work.round(.init(m6, m14, m11, m0), .init(m15, m9, m3, m8), .init(m12, m13, m1, m10), .init(m2, m7, m4, m5))
        work.round(.init(m10, m8, m7, m1), .init(m2, m4, m6, m5), .init(m15, m9, m3, m13), .init(m11, m14, m12, m0))
        low ^= work.a ^ work.c
        high ^= work.b ^ work.d
    }
}

/// The working vector v[0..15] as rows.
private struct Rounds {
    var a: SIMD4<UInt32>
    var b: SIMD4<UInt32>
    var c: SIMD4<UInt32>
    var d: SIMD4<UInt32>

    @inline(__always)
    mutating func round(
        _ columnEven: SIMD4<UInt32>, _ columnOdd: SIMD4<UInt32>, _ diagonalEven: SIMD4<UInt32>,
        _ diagonalOdd: SIMD4<UInt32>
    ) {
        mix(columnEven, columnOdd)
        b = .init(b[1], b[2], b[3], b[0])
        c = .init(c[2], c[3], c[0], c[1])
        d = .init(d[3], d[0], d[1], d[2])
        mix(diagonalEven, diagonalOdd)
        b = .init(b[3], b[0], b[1], b[2])
        c = .init(c[2], c[3], c[0], c[1])
        d = .init(d[1], d[2], d[3], d[0])
    }

    /// G of RFC 7693 §3.1 in all four lanes.
    @inline(__always)
    private mutating func mix(_ even: SIMD4<UInt32>, _ odd: SIMD4<UInt32>) {
        a = a &+ b &+ even
        d ^= a
        d = d &>> 16 | d &<< 16
        c = c &+ d
        b ^= c
        b = b &>> 12 | b &<< 20
        a = a &+ b &+ odd
        d ^= a
        d = d &>> 8 | d &<< 24
        c = c &+ d
        b ^= c
        b = b &>> 7 | b &<< 25
    }
}
