import Glibc

/// Nanoseconds on the clock that counts suspend, too (CLOCK_BOOTTIME): the age of keys is measured on it.
public struct BootTime: Hashable, Comparable, Sendable {
    public var nanoseconds: UInt64

    @inlinable public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    @inlinable public static var now: BootTime { BootTime(nanoseconds: clockNanoseconds(CLOCK_BOOTTIME)) }

    @inlinable public static func < (left: BootTime, right: BootTime) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The time since `earlier`; zero when the clock went backward, never a trap.
    @inlinable public func since(_ earlier: BootTime) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds &- earlier.nanoseconds : 0
    }

    /// Saturating.
    @inlinable public func advanced(byNanoseconds delta: UInt64) -> BootTime {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return BootTime(nanoseconds: overflow ? .max : sum)
    }
}

/// Wall-clock time, used only where people or TAI64N need it.
public struct WallTime: Hashable, Sendable {
    public var seconds: Int64
    public var nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    public static var now: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: Int64(time.tv_sec), nanoseconds: UInt32(truncatingIfNeeded: time.tv_nsec))
    }
}

@inlinable public func clockNanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
}
