import Glibc
import LinuxSystem
import Synchronization
import Testing

struct SocketFileTests {
    private let folder = SocketFolder()
    private var path: String { folder.socket }

    @Test func `a dead socket's file is replaced, a live one is refused`() throws {
        do { _ = try UnixSocket.listen(at: path, backlog: 1, directoryMode: 0o700) }
        #expect(File.exists(path))
        let live = try UnixSocket.listen(at: path, backlog: 1, directoryMode: 0o700)
        let error = #expect(throws: SystemError.self) {
            _ = try UnixSocket.listen(at: path, backlog: 1, directoryMode: 0o700)
        }
        #expect(error?.errno == Errno(EADDRINUSE))
        try UnixSocket.removeStale(path)
        #expect(File.exists(path), "a live socket's file was removed")
        withExtendedLifetime(live.rawValue) {}
    }

    @Test func `P4: a directory that others remove whenever it is empty keeps nobody from listening in it`()
        async throws
    {
        let remover = Remover(folder.directory)
        let removing = Task.detached { remover.run() }
        let outcome = Result {
            while remover.count.load(ordering: .relaxed) < 100 {
                let socket = try UnixSocket.listen(at: path, backlog: 1, directoryMode: 0o700)
                withExtendedLifetime(socket.rawValue) {}
                try File.remove(path)
                // Its turn; now it finds the directory empty.
                usleep(100)
            }
        }
        remover.hasEnough.store(true, ordering: .relaxed)
        await removing.value
        try outcome.get()
    }

    @Test func `a link that leads nowhere is no place to listen, and said at once`() throws {
        try #require(symlink("/nonexistent/place", folder.directory) == 0)
        defer { unlink(folder.directory) }
        let error = #expect(throws: SystemError.self) {
            _ = try UnixSocket.listen(at: path, backlog: 1, directoryMode: 0o700)
        }
        #expect(error?.errno == Errno(ENOENT))
    }

    @Test func `who cannot be asked is not taken for dead`() {
        let longest = "/tmp/" + String(repeating: "x", count: 200)
        #expect(throws: SystemError.self) { try UnixSocket.isLive(longest) }
    }
}

/// Removes a directory under its lock, as whoever empties one does, again and again.
private final class Remover: Sendable {
    let hasEnough = Atomic(false)
    let count = Atomic(0)
    private let directory: String

    init(_ directory: String) { self.directory = directory }

    func run() {
        while !hasEnough.load(ordering: .relaxed) {
            // Between two removals there is none.
            guard let lock = try? FileLock.acquireExisting(directory, wait: true) else { continue }
            if rmdir(directory) == 0 { count.add(1, ordering: .relaxed) }
            _ = consume lock
        }
    }
}

/// A place for one socket, removed with the value.
private final class SocketFolder {
    let root: String

    init() {
        var template = Array("/tmp/swg-sockets-XXXXXX".utf8CString)
        root = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/swg-sockets"
    }

    var directory: String { "\(root)/deep" }
    var socket: String { "\(directory)/x.sock" }

    deinit {
        unlink(socket)
        rmdir(directory)
        rmdir(root)
    }
}
