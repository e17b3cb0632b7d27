import CLinux
import Glibc

/// A counter that wakes another thread. eventfd(2), non-blocking.
public struct EventCounter: ~Copyable, Sendable {
    public let descriptor: FileDescriptor

    public init() throws(SystemError) {
        descriptor = FileDescriptor(
            owning: try systemCall("eventfd") { eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) })
    }

    /// Wakes whoever waits. Async-signal-safe and free of allocation.
    @inlinable public borrowing func signal() {
        var one: UInt64 = 1
        _ = write(descriptor.rawValue, &one, 8)
    }

    /// Back to zero; the count so far.
    @inlinable @discardableResult public borrowing func drain() -> UInt64 {
        var count: UInt64 = 0
        return read(descriptor.rawValue, &count, 8) == 8 ? count : 0
    }
}

/// A timer on the boot clock. timerfd_create(2), non-blocking.
public struct TimerDescriptor: ~Copyable, Sendable {
    public let descriptor: FileDescriptor

    public init() throws(SystemError) {
        descriptor = FileDescriptor(
            owning: try systemCall("timerfd_create") {
                timerfd_create(CLOCK_BOOTTIME, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
            })
    }

    /// Fires once at `time`, at once when that has passed; `nil` disarms.
    public borrowing func arm(at time: BootTime?) throws(SystemError) {
        let number = descriptor.rawValue
        var setting = itimerspec()
        if let time {
            // Zero would disarm.
            let nanoseconds = max(time.nanoseconds, 1)
            setting.it_value.tv_sec = Int(clamping: nanoseconds / 1_000_000_000)
            setting.it_value.tv_nsec = Int(nanoseconds % 1_000_000_000)
        }
        try systemCall("timerfd_settime") { timerfd_settime(number, Int32(TFD_TIMER_ABSTIME), &setting, nil) }
    }

    public borrowing func drain() {
        var count: UInt64 = 0
        _ = read(descriptor.rawValue, &count, 8)
    }
}

/// Signals as readable events. signalfd(2), non-blocking.
public struct SignalDescriptor: ~Copyable, Sendable {
    public let descriptor: FileDescriptor

    /// Blocks the signals in the calling thread (call it before any other thread starts).
    public init(_ signals: [Int32]) throws(SystemError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        descriptor = FileDescriptor(
            owning: try systemCall("signalfd") {
                signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
            })
    }

    /// A signal with its sender.
    public struct Event: Sendable {
        public let number: Int32
        /// Nil when the kernel sent it: a terminal's Ctrl-C went to the whole foreground group. 0 is a process
        /// outside of this pid namespace.
        public let sender: Int32?
    }

    /// The next pending signal's number, or nil.
    public borrowing func next() throws(SystemError) -> Int32? { try nextEvent()?.number }

    /// The next pending signal, or nil. signalfd(2).
    public borrowing func nextEvent() throws(SystemError) -> Event? {
        let number = descriptor.rawValue
        var information = signalfd_siginfo()
        let count = try systemCallUnlessBlocked("read", "signalfd") {
            read(number, &information, MemoryLayout<signalfd_siginfo>.size)
        }
        guard count != nil else { return nil }
        let fromKernel = information.ssi_code == swg_SI_KERNEL
        return Event(
            number: Int32(bitPattern: information.ssi_signo),
            sender: fromKernel ? nil : Int32(bitPattern: information.ssi_pid))
    }
}
