import LinuxSystem

/// Random bytes for control: the kernel's in the engine, a seeded generator's in the simulation.
struct RandomSource {
    private let source: (UnsafeMutableRawBufferPointer) -> Void

    init(_ source: @escaping (UnsafeMutableRawBufferPointer) -> Void) { self.source = source }

    static var system: RandomSource { RandomSource { fillRandom($0) } }

    func fill(_ pointer: UnsafeMutableRawPointer, byteCount: Int) {
        source(UnsafeMutableRawBufferPointer(start: pointer, count: byteCount))
    }

    func nextUInt32() -> UInt32 {
        var value: UInt32 = 0
        withUnsafeMutableBytes(of: &value) { source($0) }
        return value
    }

    func nextUInt64() -> UInt64 {
        var value: UInt64 = 0
        withUnsafeMutableBytes(of: &value) { source($0) }
        return value
    }
}

/// The jitter of a timer that a loop arms: a few instructions and no system call per packet. Not secret.
/// xorshift64* (Marsaglia 2003, Vigna 2016).
struct JitterSource {
    private var state: UInt64

    init(seed: UInt64) { state = seed | 1 }

    /// 0 ..< REKEY_TIMEOUT_JITTER_MAX, nanoseconds.
    mutating func next() -> UInt64 {
        state ^= state &>> 12
        state ^= state &<< 25
        state ^= state &>> 27
        return (state &* 0x2545_f491_4f6c_dd1d) % ProtocolLimits.rekeyTimeoutJitter
    }
}
