import LinuxSystem

/// Until when the monitor waits for a worker that does not answer, before it replaces it.
///
/// A client that waits in the backlog is served within five seconds, and a request, or the configuration that a new
/// worker takes over, is done within five seconds and a little for each line: a million allowed IPs are work, not a
/// stall. While that goes on, clients in the backlog wait rightly. Monitor only.
struct StallWatch {
    private static let baseNanoseconds: UInt64 = 5_000_000_000
    /// Fifty times what a line takes on a machine with a CPU to spare.
    private static let lineNanoseconds: UInt64 = 100_000
    /// No request that the parser accepts has more (UAPILimits).
    private static let lineLimit: UInt64 = 4_000_000
    /// The shortest line that adds something, `allowed_ip=` with an IPv4 address, has about as many.
    private static let bytesPerLine: UInt64 = 20

    private var unservedSince: BootTime?
    private var workEnds: BootTime?

    /// The listening socket became readable.
    mutating func clientWaits(at now: BootTime) { unservedSince = unservedSince ?? now }

    var isClientWaiting: Bool { unservedSince != nil }

    /// The worker has accepted everyone.
    mutating func backlogIsEmpty() { unservedSince = nil }

    /// A request begins that says or asks for so many lines, by the worker's own count.
    mutating func requestBegins(lines: UInt64, at now: BootTime) {
        unservedSince = nil
        let nanoseconds = StallWatch.baseNanoseconds + min(lines, StallWatch.lineLimit) * StallWatch.lineNanoseconds
        workEnds = now.advanced(byNanoseconds: nanoseconds)
    }

    /// A new worker takes over a configuration of so many bytes.
    mutating func workerStarts(configurationBytes: UInt64, at now: BootTime) {
        requestBegins(lines: configurationBytes / StallWatch.bytesPerLine, at: now)
    }

    mutating func workEnded() { workEnds = nil }

    /// When the worker has to be replaced; nil when nothing is owed.
    var deadline: BootTime? { workEnds ?? unservedSince?.advanced(byNanoseconds: StallWatch.baseNanoseconds) }

    /// The worker was replaced: whoever waits begins to wait anew.
    mutating func replaced(at now: BootTime) {
        workEnds = nil
        unservedSince = now
    }
}
