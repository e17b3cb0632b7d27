import Glibc
import LinuxSystem

/// One line of the log: what happened to which tunnel.
public struct LogEntry: Equatable, Sendable {
    /// Priorities of syslog(3).
    public enum Priority: Int, Sendable {
        case error = 3
        case warning = 4
        case information = 6

        var word: String {
            switch self {
            case .error: "error"
            case .warning: "warning"
            case .information: "info"
            }
        }
    }

    public var time: WallTime
    public var priority: Priority
    public var tunnel: String?
    public var containerID: String?
    public var message: String

    public init(
        _ priority: Priority, _ message: String, tunnel: TunnelID? = nil, containerID: String? = nil,
        time: WallTime = .now
    ) {
        self.time = time
        self.priority = priority
        self.tunnel = tunnel?.text
        self.containerID = containerID
        self.message = message
    }

    /// One line of the file: tab-separated time, priority, tunnel, container, message; `-` for none. Control
    /// characters of a message cannot forge a second line.
    var line: String {
        [
            LogEntry.timeText(time), priority.word, tunnel ?? "-", containerID.map(LogEntry.oneLine) ?? "-",
            LogEntry.oneLine(message),
        ].joined(separator: "\t") + "\n"
    }

    /// Line breaks as `; `.
    static func oneLine(_ text: String) -> String {
        printable(text.split(separator: "\n").joined(separator: "; "), limit: .max)
    }

    /// RFC 3339, in UTC, to the second.
    static func timeText(_ time: WallTime) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }
}
