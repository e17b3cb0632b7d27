import Synchronization

typealias LoopProgressPointer = UnsafeMutablePointer<LoopProgress>

/// What tx and rx tell the `Reclaimer`: how many batch boundaries each has passed, and whether it sleeps.
///
/// Plain memory behind a pointer, so that a loop tells it without touching a reference count. The count and the flag
/// are stored, and read by control, with full fences: a loop that wakes up either sees what control has published
/// before, or is seen awake.
struct LoopProgress: ~Copyable {
    enum Loop {
        case transmit
        case receive
    }

    /// Of one loop; a cache line of its own would be wasted on one store per batch.
    struct State: ~Copyable {
        let boundaries = Atomic<UInt64>(0)
        /// A loop that has not started yet holds nothing either.
        let isAsleep = Atomic<Bool>(true)
    }

    let transmit = State()
    let receive = State()
    /// Not zero: before they sleep, the loops look for a packet (`BusyPolling`). Another number is a new permission.
    let pollingRound = Atomic<UInt32>(0)
    /// What tx has handed to UDP; its own to write.
    let sentBytes = Atomic<UInt64>(0)

    /// At the end of each batch: the loop holds no pointer into the shared records.
    @inline(__always)
    func passedBoundary(_ loop: Loop) {
        switch loop {
        case .transmit: transmit.boundaries.wrappingAdd(1, ordering: .releasing)
        case .receive: receive.boundaries.wrappingAdd(1, ordering: .releasing)
        }
    }

    /// Before the loop waits in epoll.
    @inline(__always)
    func fallsAsleep(_ loop: Loop) {
        passedBoundary(loop)
        switch loop {
        case .transmit: transmit.isAsleep.store(true, ordering: .releasing)
        case .receive: receive.isAsleep.store(true, ordering: .releasing)
        }
    }

    /// First thing after epoll, before any shared record is read.
    @inline(__always)
    func wakesUp(_ loop: Loop) {
        switch loop {
        case .transmit: transmit.isAsleep.store(false, ordering: .sequentiallyConsistent)
        case .receive: receive.isAsleep.store(false, ordering: .sequentiallyConsistent)
        }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        Interleaving.point(.publish)
    }
}
