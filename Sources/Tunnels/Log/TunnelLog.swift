import CLinux
import Glibc
import LinuxSystem

/// Where the programs say what they did: journald where it is, else syslog, else a bounded file of the state
/// directory. A runtime loses a plugin's standard error, so this is often all that is left of a failure.
///
/// Written by short-lived programs, several at a time. Nothing here may fail an attach: what cannot be logged
/// is dropped.
struct TunnelLog {
    static let journalSocket = "/run/systemd/journal/socket"
    static let syslogSocket = "/dev/log"
    static let identifier = "swg-ns"
    /// The file is renamed at this size; one older file is kept.
    static let largestBytes = 128 * 1024
    /// A file does not repeat an equal message within this time.
    static let repetitionSeconds: Int64 = 60

    let state: StateDirectory
    var journalSocket = TunnelLog.journalSocket
    var syslogSocket = TunnelLog.syslogSocket

    var file: String { "\(state.log)/swg-ns.log" }
    var olderFile: String { "\(file).1" }

    func write(_ entry: LogEntry) {
        if send(journalRecord(entry), to: journalSocket) { return }
        if send(syslogRecord(entry), to: syslogSocket) { return }
        try? append(entry)
    }

    /// systemd's native protocol: `NAME=value` lines, one datagram.
    private func journalRecord(_ entry: LogEntry) -> [UInt8] {
        var fields = [
            "PRIORITY=\(entry.priority.rawValue)", "SYSLOG_IDENTIFIER=\(TunnelLog.identifier)",
            "MESSAGE=\(LogEntry.oneLine(entry.message))",
        ]
        if let tunnel = entry.tunnel { fields.append("TUNNEL=\(tunnel)") }
        if let container = entry.containerID { fields.append("CNI_CONTAINERID=\(LogEntry.oneLine(container))") }
        return Array((fields.joined(separator: "\n") + "\n").utf8)
    }

    /// RFC 3164 as the local syslog reads it; facility daemon.
    private func syslogRecord(_ entry: LogEntry) -> [UInt8] {
        let priority = 3 << 3 | entry.priority.rawValue
        let tunnel = entry.tunnel.map { "tunnel \($0): " } ?? ""
        return Array(
            "<\(priority)>\(TunnelLog.identifier)[\(getpid())]: \(tunnel)\(LogEntry.oneLine(entry.message))".utf8)
    }

    private func send(_ record: [UInt8], to path: String) -> Bool {
        guard let socket = try? UnixSocket.open(SOCK_DGRAM, nonBlocking: true),
            (try? UnixSocket.connect(socket, to: path)) != nil
        else { return false }
        return Glibc.send(socket.rawValue, record, record.count, Int32(MSG_NOSIGNAL)) == record.count
    }

    private func append(_ entry: LogEntry) throws(SystemError) {
        if isRepetition(entry) { return }
        try state.writing(into: state.log) { () throws(SystemError) in
            var status = stat()
            if stat(file, &status) == 0, status.st_size > TunnelLog.largestBytes { rename(file, olderFile) }
            // One write of one line: lines of parallel programs do not mix.
            let descriptor = try FileDescriptor.open(file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW)
            try descriptor.writeAll(entry.line, object: file)
        }
    }

    /// Whether the file ends with this line but for its time, which always has the same length. Only that end is read:
    /// every note of a busy host comes here. No field holds a tab, so nothing longer ends like a line.
    private func isRepetition(_ entry: LogEntry) -> Bool {
        var status = stat()
        guard let descriptor = try? FileDescriptor.open(file, O_RDONLY | O_NOFOLLOW),
            fstat(descriptor.rawValue, &status) == 0,
            entry.time.seconds - Int64(status.st_mtim.tv_sec) < TunnelLog.repetitionSeconds
        else { return false }
        let rest = Array(entry.line.utf8.drop { $0 != UInt8(ascii: "\t") })
        guard status.st_size >= rest.count else { return false }
        var end = [UInt8](repeating: 0, count: rest.count)
        return pread(descriptor.rawValue, &end, end.count, status.st_size - rest.count) == end.count && end == rest
    }

    /// The lines of both files, oldest first; only those of one tunnel if that is given.
    func lines(tunnel: String? = nil) -> [String] {
        let all = lines(of: olderFile) + lines(of: file)
        guard let tunnel else { return all }
        return all.filter { line in
            let parts = line.split(separator: "\t", maxSplits: 4, omittingEmptySubsequences: false)
            return parts.count > 3 && (parts[2] == tunnel || parts[3].hasPrefix(tunnel))
        }
    }

    private func lines(of path: String) -> [String] {
        ((try? File.readText(path)) ?? "").split(separator: "\n").map(String.init)
    }
}
