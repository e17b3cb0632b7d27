import CLinux
import Glibc

/// A process, known by more than its recyclable number (promise P5).
///
/// proc_pid_stat(5) field 22 and /proc/sys/kernel/random/boot_id.
public struct ProcessIdentity: Hashable, Sendable {
    public let pid: Int32
    /// Clock ticks after boot.
    public let startTicks: UInt64
    public let bootID: String

    public init(pid: Int32, startTicks: UInt64, bootID: String) {
        self.pid = pid
        self.startTicks = startTicks
        self.bootID = bootID
    }

    /// The identity of a process that lives now.
    public static func of(_ pid: Int32) throws(SystemError) -> ProcessIdentity {
        let text = try File.readText("/proc/\(pid)/stat")
        guard let line = StatLine(text) else {
            throw SystemError(call: "read", object: "/proc/\(pid)/stat", errno: Errno(EPROTO))
        }
        if line.hasEnded { throw SystemError(call: "read", object: "/proc/\(pid)/stat", errno: Errno(ESRCH)) }
        return ProcessIdentity(pid: pid, startTicks: line.startTicks, bootID: try currentBootID())
    }

    /// From a line of /proc/PID/stat that was kept; nil when it is damaged.
    public init?(statLine text: String, bootID: String) {
        guard let line = StatLine(text) else { return nil }
        self.init(pid: line.pid, startTicks: line.startTicks, bootID: bootID)
    }

    private struct StatLine {
        let pid: Int32
        let startTicks: UInt64
        let hasEnded: Bool

        init?(_ text: String) {
            // The command name may hold spaces and brackets: fields start after the last bracket.
            guard let end = text.lastIndex(of: ")"), let pid = Int32(text.prefix { $0 != " " }) else { return nil }
            let fields = text[text.index(after: end)...].split(separator: " ")
            guard fields.count > 19, let ticks = UInt64(fields[19]) else { return nil }
            self.pid = pid
            startTicks = ticks
            hasEnded = fields[0] == "Z" || fields[0] == "X"
        }
    }

    public static func currentBootID() throws(SystemError) -> String {
        String(try File.readText("/proc/sys/kernel/random/boot_id").prefix { $0 != "\n" })
    }

    /// A descriptor of exactly this process, or nil when it has ended (a zombie counts as ended).
    public func open() throws(SystemError) -> ProcessDescriptor? {
        do {
            let descriptor = try ProcessDescriptor.open(pid)
            // Read after the descriptor pinned the number: the same start time means the same process.
            guard try ProcessIdentity.of(pid) == self else { return nil }
            return descriptor
        } catch {
            switch error.errno.rawValue {
            case ESRCH, ENOENT, EINVAL: return nil
            default: throw error
            }
        }
    }

    public var isAlive: Bool {
        (try? ProcessIdentity.of(pid)) == self
    }
}

/// A process by descriptor. pidfd_open(2).
public struct ProcessDescriptor: ~Copyable, Sendable {
    public let descriptor: FileDescriptor

    public init(owning descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

    public static func open(_ pid: Int32) throws(SystemError) -> ProcessDescriptor {
        ProcessDescriptor(
            owning: FileDescriptor(owning: try systemCall("pidfd_open", "process \(pid)") { swg_pidfd_open(pid) }))
    }

    /// pidfd_send_signal(2); false when the process has ended.
    @discardableResult
    public borrowing func send(_ signal: Int32) throws(SystemError) -> Bool {
        let number = descriptor.rawValue
        do {
            try systemCall("pidfd_send_signal", "signal \(signal)") { swg_pidfd_send_signal(number, signal) }
            return true
        } catch {
            if error.errno.rawValue == ESRCH { return false }
            throw error
        }
    }

    /// Waits for the end; false when it is still alive after the time.
    public borrowing func waitForExit(milliseconds: Int32) throws(SystemError) -> Bool {
        try waitReadable(descriptor.rawValue, milliseconds: milliseconds)
    }
}

/// poll(2) on one descriptor for input, error or hang-up; false on time-out. Negative waits for ever.
public func waitReadable(_ number: Int32, milliseconds: Int32) throws(SystemError) -> Bool {
    let deadline = BootTime.now.advanced(byNanoseconds: UInt64(max(milliseconds, 0)) * 1_000_000)
    while true {
        var remaining = milliseconds
        if milliseconds >= 0 {
            remaining = Int32(clamping: (deadline.since(BootTime.now) + 999_999) / 1_000_000)
        }
        var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        let count = poll(&entry, 1, remaining)
        if count > 0 { return true }
        if count == 0 { return false }
        if Glibc.errno != EINTR { throw SystemError(call: "poll", errno: .current) }
    }
}
