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
        if let ownBootID { return ownBootID }
        return try readBootID()
    }

    /// Asked once: no process sees two.
    private static let ownBootID = try? readBootID()

    private static func readBootID() throws(SystemError) -> String {
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
