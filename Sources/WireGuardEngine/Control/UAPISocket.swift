import CLinux
import Glibc
import LinuxSystem

/// The listening socket `/var/run/wireguard/NAME.sock` (U1). Made by the monitor, served by the worker.
struct UAPISocket: ~Copyable {
    static let directory = "/var/run/wireguard"

    let descriptor: FileDescriptor
    let path: String
    /// What the file was when we made it; another file under the same name is not ours to remove.
    private let identity: FileIdentity?

    /// Creates it, for its user only, in a directory with mode 0755.
    ///
    /// - Throws: EADDRINUSE when a live process listens on the name; a dead one's socket is replaced.
    static func create(name: String) throws(SystemError) -> UAPISocket {
        let path = "\(directory)/\(name).sock"
        let socket: FileDescriptor
        do throws(SystemError) {
            socket = try UnixSocket.listen(at: path, backlog: SOMAXCONN, nonBlocking: true, directoryMode: 0o755)
        } catch {
            throw error.errno.rawValue == EADDRINUSE ? error.explained("wg show \(name)") : error
        }
        return UAPISocket(descriptor: socket, path: path, identity: fileIdentity(path))
    }

    /// Takes a listening socket that was made by someone else (WG_UAPI_FD), who also owns its file.
    static func adopt(_ descriptor: consuming FileDescriptor) throws(SystemError) -> UAPISocket {
        try descriptor.setNonBlocking()
        try descriptor.setCloseOnExec(true)
        let path = boundPath(descriptor.rawValue)
        return UAPISocket(descriptor: descriptor, path: path, identity: fileIdentity(path))
    }

    private init(descriptor: consuming FileDescriptor, path: String, identity: FileIdentity?) {
        self.descriptor = descriptor
        self.path = path
        self.identity = identity
    }

    /// Whether the file is still the one that leads to us.
    borrowing func fileIsThere() -> Bool { identity == nil || UAPISocket.fileIdentity(path) == identity }

    /// Asks for `signal` whenever a file is removed from, or renamed in, the directory (F_NOTIFY: unlike inotify it
    /// has no limit per user, and a thousand tunnels belong to the same). Nobody is told when the kernel has no
    /// dnotify.
    borrowing func watchRemoval(signal: Int32) {
        guard identity != nil, let slash = path.lastIndex(of: "/") else { return }
        let number = open(String(path[..<slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { return }
        // The descriptor stays open for good: closing it ends the watch.
        _ = swg_fcntl(number, F_SETSIG, Int(signal))
        let events = UInt(DN_DELETE) | UInt(DN_RENAME) | UInt(truncatingIfNeeded: DN_MULTISHOT)
        _ = swg_fcntl(number, F_NOTIFY, Int(bitPattern: events))
    }

    /// Removes the file if it still is ours.
    borrowing func remove() {
        if identity != nil, fileIsThere() { unlink(path) }
    }

    private static func boundPath(_ socket: Int32) -> String {
        var address = sockaddr_un()
        var size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(socket, __SOCKADDR_ARG(__sockaddr__: $0), &size)
            }
        }
        guard result == 0 else { return "" }
        return withUnsafeBytes(of: &address.sun_path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func fileIdentity(_ path: String) -> FileIdentity? {
        var status = stat()
        guard !path.isEmpty, lstat(path, &status) == 0, swg_s_issock(status.st_mode) != 0 else { return nil }
        return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}
