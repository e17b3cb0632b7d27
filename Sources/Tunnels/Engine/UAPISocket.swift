import CLinux
import Glibc
import LinuxSystem

/// The UNIX socket on which an engine is asked and told, at the place where wg(8) looks for it.
///
/// `/var/run/wireguard/ID.sock` for root, `STATE/uapi/ID.sock` otherwise. It belongs to a mount namespace and
/// not to a network namespace: `wg show ID` works from anywhere.
enum UAPISocket {
    static let systemDirectory = "/var/run/wireguard"

    static func path(for id: TunnelID, state: StateDirectory) -> String {
        geteuid() == 0 ? "\(systemDirectory)/\(id).sock" : "\(state.uapi)/\(id).sock"
    }

    /// Binds and listens. A socket file that nobody listens on is replaced, under a lock; a live one is refused.
    static func listen(at path: String) throws(TunnelError) -> FileDescriptor {
        do throws(SystemError) {
            return try withDirectoryLock(of: path) { () throws(SystemError) in
                if isLive(path) {
                    throw SystemError(
                        call: "bind", object: path, errno: Errno(EADDRINUSE), detail: "another engine listens there")
                }
                try File.remove(path)
                let socket = try UnixSocket.open()
                // Born with the right mode: between bind and chmod somebody could have connected.
                let before = umask(0o177)
                defer { umask(before) }
                try UnixSocket.bind(socket, to: path)
                try systemCall("listen", path) { Glibc.listen(socket.rawValue, 16) }
                return socket
            }
        } catch {
            let cure = error.errno.rawValue == EADDRINUSE ? "choose another --id" : nil
            throw TunnelError(error, doing: "opening the engine's control socket", cure: cure)
        }
    }

    /// Removes the file unless somebody listens on it.
    static func removeStale(_ path: String) throws(SystemError) {
        guard File.exists(path) else { return }
        try withDirectoryLock(of: path) { () throws(SystemError) in
            if !isLive(path) { try File.remove(path) }
        }
    }

    static func connect(to path: String) throws(SystemError) -> FileDescriptor {
        let socket = try UnixSocket.open()
        try UnixSocket.connect(socket, to: path)
        return socket
    }

    static func isLive(_ path: String) -> Bool { (try? UnixSocket.isLive(path)) ?? false }

    private static func withDirectoryLock<Value: ~Copyable>(
        of path: String, _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        while true {
            try File.makeDirectories(directory, mode: geteuid() == 0 ? 0o755 : 0o700)
            do throws(SystemError) {
                // On the directory: a lock file would be one more thing to leave behind.
                guard let lock = try FileLock.acquireExisting(directory, wait: true, followLinks: true) else {
                    continue
                }
                let value = try body()
                _ = consume lock
                return value
            } catch {
                if error.errno.rawValue != ENOENT || error.call != "open" { throw error }
            }
        }
    }
}
