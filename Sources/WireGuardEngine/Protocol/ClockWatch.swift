import LinuxSystem

/// Notices that the machine was suspended, or restored from an image: the boot clock then differs from the
/// monotonic clock by more than before, or has gone backward (checklist S8, R9). Session keys must not survive either.
struct ClockWatch {
    /// Both clocks are read one after the other; this is far more than that takes, and far less than a sleep.
    static let tolerance = ProtocolLimits.nanosecondsPerSecond

    private var difference: UInt64?
    private var lastBoot = BootTime(nanoseconds: 0)

    /// `monotonicNanoseconds` is CLOCK_MONOTONIC. True when sessions are to be forgotten.
    mutating func observe(boot: BootTime, monotonicNanoseconds: UInt64) -> Bool {
        let suspended = boot.nanoseconds &- monotonicNanoseconds
        defer {
            difference = suspended
            lastBoot = boot
        }
        guard let difference else { return false }
        let change = suspended &- difference
        let magnitude = min(change, 0 &- change)
        return magnitude > ClockWatch.tolerance || boot.nanoseconds &+ ClockWatch.tolerance < lastBoot.nanoseconds
    }
}
