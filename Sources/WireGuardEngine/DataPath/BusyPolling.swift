import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Whether a loop looks for the next packet for a moment before it sleeps, and the looking itself.
///
/// **What for.** A thread that sleeps needs 20 to 40 microseconds to be awake again, most of it in a virtual machine,
/// where an idle processor is given back to the host. A request and its answer wait for that twice in each engine, one
/// after the other; a loop that has not gone to sleep yet takes the packet at once. The price is a processor that is
/// busy while nothing comes, so looking must pay: a stream whose sender sets the pace gets no faster by it, and would
/// burn a processor for nothing. `PollingTrial` tells the two apart, and rx, whose packets it counts, says for both
/// loops whether they look (`LoopProgress.pollingRound`).
///
/// **Who calls it.** Each loop has one of its own and calls `wait` where it would call epoll_wait(2), while it has
/// announced itself asleep: it holds nothing, and `Reclaimer` need not wait for it.
///
/// **What can go wrong.** Others want the processor: every turn gives it up (sched_yield(2)), and one that comes back
/// late ends the looking. Nothing comes: after `longestLook` the loop sleeps. Both cost credit, and without credit the
/// loop sleeps at once until the next round. With one processor it never looks, because nothing could come meanwhile.
struct BusyPolling {
    /// 200 µs: what the kernel's haltpoll governor spends before it halts a guest's processor (guest_halt_poll_ns,
    /// Documentation/virt/guest-halt-polling.rst).
    static var longestLookNanoseconds: UInt64 { 200_000 }
    /// A turn that takes longer than this has let somebody else run who needed it.
    static var longestTurnNanoseconds: UInt64 { 100_000 }
    private static var fullCredit: Int { 256 }
    /// So that one in 16 may be in vain.
    private static var costOfFailure: Int { 16 }

    /// Both loops may keep a processor busy at all.
    let isPossible: Bool
    private let loops: LoopProgressPointer
    private var round: UInt32 = 0
    private var credit = 0

    init(isPossible: Bool, loops: LoopProgressPointer) {
        self.isPossible = isPossible
        self.loops = loops
    }

    /// What has been granted is used up, and with it all patience.
    var isExhausted: Bool { credit <= 0 }

    /// epoll_wait(2) for one event, with or without looking first; -1 and errno as there.
    @inline(__always)
    mutating func wait(_ poll: Int32, _ event: UnsafeMutablePointer<epoll_event>) -> Int32 {
        let granted = loops.pointee.pollingRound.load(ordering: .relaxed)
        guard granted != 0 else { return epoll_wait(poll, event, 1, -1) }
        return look(poll, event, granted)
    }

    private mutating func look(_ poll: Int32, _ event: UnsafeMutablePointer<epoll_event>, _ granted: UInt32) -> Int32 {
        if granted != round {
            round = granted
            credit = Self.fullCredit
        }
        guard isPossible, credit > 0 else { return epoll_wait(poll, event, 1, -1) }
        let start = BootTime.now
        var turn = start
        while true {
            let count = epoll_wait(poll, event, 1, 0)
            if count != 0 {
                credit = min(credit &+ 1, Self.fullCredit)
                return count
            }
            sched_yield()
            let now = BootTime.now
            if now.since(turn) > Self.longestTurnNanoseconds || now.since(start) > Self.longestLookNanoseconds { break }
            turn = now
        }
        credit &-= Self.costOfFailure
        return epoll_wait(poll, event, 1, -1)
    }

    /// Processors that this process may run on: with a single one looking keeps out who is waited for.
    static var hasSeveralProcessors: Bool {
        var set = cpu_set_t()
        guard sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else { return false }
        return withUnsafeBytes(of: &set) { $0.reduce(0) { $0 + $1.nonzeroBitCount } } > 1
    }
}
