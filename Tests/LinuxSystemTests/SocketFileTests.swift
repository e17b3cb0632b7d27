import Glibc
import LinuxSystem
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

    @Test func `P4: a directory that others remove whenever it is empty keeps nobody from listening in it`() throws {
        let directory = folder.directory
        let child = try Spawn(
            .path("/bin/sh"), arguments: ["sh", "-c", "while :; do flock \(directory) rmdir \(directory); done"],
            environment: ["PATH=/usr/bin:/bin"], descriptors: [nil, nil, nil]
        ).start()
        let outcome = Result {
            for _ in 0..<200 {
                let socket = try UnixSocket.listen(at: path, backlog: 1, directoryMode: 0o700)
                withExtendedLifetime(socket.rawValue) {}
                try File.remove(path)
            }
        }
        child.kill()
        try outcome.get()
    }

    @Test func `who cannot be asked is not taken for dead`() {
        let longest = "/tmp/" + String(repeating: "x", count: 200)
        #expect(throws: SystemError.self) { try UnixSocket.isLive(longest) }
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
