import CLinux
import Glibc
import LinuxSystem

/// Where an engine's messages go: journald's stream socket where there is one, else a file of the state
/// directory that starts afresh when it is large.
enum EngineLog {
    static let journalSocket = "/run/systemd/journal/stdout"
    static let largestBytes = 256 * 1024

    static func open(state: StateDirectory, id: TunnelID) throws(TunnelError) -> FileDescriptor {
        if let journal = try? openJournal(id) { return journal }
        do throws(SystemError) {
            return try openFile(path(state: state, id: id))
        } catch {
            throw StateFile.unusable(error)
        }
    }

    static func path(state: StateDirectory, id: TunnelID) -> String { "\(state.directory(of: id))/engine.log" }

    /// The header of sd_journal_stream_fd(3): identifier, unit, priority, level prefixes, and three forwards.
    private static func openJournal(_ id: TunnelID) throws(SystemError) -> FileDescriptor {
        let socket = try UnixSocket.open()
        try UnixSocket.connect(socket, to: journalSocket)
        try socket.writeAll("swg-engine-\(id)\n\n6\n1\n0\n0\n0\n", object: journalSocket)
        return socket
    }

    private static func openFile(_ path: String) throws(SystemError) -> FileDescriptor {
        let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW)
        var status = stat()
        if fstat(file.rawValue, &status) == 0, status.st_size > largestBytes { ftruncate(file.rawValue, 0) }
        return file
    }
}
