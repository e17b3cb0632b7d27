import LinuxSystem

/// The timestamp of an initiation (checklist T1): BE64(2^62 + 10 + Unix seconds) ‖ BE32(nanoseconds).
///
/// Ordered like its twelve bytes. Our own are rounded down to 2^24 ns (16.8 ms), so that they tell little about
/// this machine's clock; a peer's are kept as they came.
public struct TAI64N: Hashable, Sendable {
    public static let byteCount = 12

    /// Steps of our own timestamps in nanoseconds.
    static let granularity: UInt64 = 1 << 24

    public var label: UInt64
    public var nanoseconds: UInt32

    /// Before every timestamp: what is kept of a peer that has sent none.
    public static let zero = TAI64N(label: 0, nanoseconds: 0)

    public init(label: UInt64, nanoseconds: UInt32) {
        self.label = label
        self.nanoseconds = nanoseconds
    }

    public init(_ time: WallTime) {
        label = 0x4000_0000_0000_000a &+ UInt64(bitPattern: time.seconds)
        nanoseconds = time.nanoseconds & ~UInt32(TAI64N.granularity - 1)
    }

    /// The timestamp to send now when `last` was sent before (checklist T3): never at or below it, even after
    /// the clock was set back.
    public func after(_ last: TAI64N) -> TAI64N {
        let sum = UInt64(last.nanoseconds) + TAI64N.granularity
        let next = TAI64N(
            label: last.label &+ sum / 1_000_000_000,
            nanoseconds: UInt32(truncatingIfNeeded: sum % 1_000_000_000 & ~(TAI64N.granularity - 1)))
        return max(self, next)
    }

    /// Twelve bytes as on the wire.
    public init(copying bytes: UnsafeRawPointer) {
        label = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        nanoseconds = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    }

    /// Writes twelve bytes.
    public func write(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBytes(of: label.bigEndian, as: UInt64.self)
        bytes.storeBytes(of: nanoseconds.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}

extension TAI64N: Comparable {
    public static func < (left: TAI64N, right: TAI64N) -> Bool {
        left.label != right.label ? left.label < right.label : left.nanoseconds < right.nanoseconds
    }
}
