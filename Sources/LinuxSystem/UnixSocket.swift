import CLinux
import Glibc

/// Stream and datagram sockets with a name in the file system. unix(7).
public enum UnixSocket {
    /// The longest path a socket address holds, in bytes.
    public static let longestPathBytes = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    /// A new socket; `type` is SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    public static func open(
        _ type: __socket_type = SOCK_STREAM, nonBlocking: Bool = false
    ) throws(SystemError) -> FileDescriptor {
        let flags = SOCK_CLOEXEC.rawValue | (nonBlocking ? SOCK_NONBLOCK.rawValue : 0)
        return FileDescriptor(
            owning: try systemCall("socket", "AF_UNIX") { socket(AF_UNIX, Int32(type.rawValue | flags), 0) })
    }

    /// Two connected stream sockets, closed on exec. socketpair(2).
    public static func makePair() throws(SystemError) -> StreamPair {
        var numbers: (Int32, Int32) = (-1, -1)
        try systemCall("socketpair") {
            withUnsafeMutableBytes(of: &numbers) {
                socketpair(
                    AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0,
                    $0.bindMemory(to: Int32.self).baseAddress)
            }
        }
        return StreamPair(ours: FileDescriptor(owning: numbers.0), theirs: FileDescriptor(owning: numbers.1))
    }

    /// The two ends of `makePair`.
    public struct StreamPair: ~Copyable {
        public let ours: FileDescriptor
        public let theirs: FileDescriptor

        /// Closes the other end: only then does this one see that its holder has ended.
        public consuming func takeOurs() -> FileDescriptor { ours }
    }

    /// How long connecting and sending may wait for the other side. SO_SNDTIMEO of socket(7); they answer EAGAIN then.
    public static func limitSending(
        _ socket: borrowing FileDescriptor, milliseconds: Int32, object: String
    ) throws(SystemError) {
        let number = socket.rawValue
        var timeout = timeval(tv_sec: Int(milliseconds / 1000), tv_usec: Int(milliseconds % 1000) * 1000)
        try systemCall("setsockopt", object) {
            setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    /// Sends all bytes; EPIPE is an error, no signal.
    public static func sendAll(
        _ bytes: UnsafeRawBufferPointer, on socket: borrowing FileDescriptor, object: String
    ) throws(SystemError) {
        let number = socket.rawValue
        var rest = bytes
        while !rest.isEmpty {
            let piece = rest
            let sent = try systemCall("send", object) {
                send(number, piece.baseAddress, piece.count, Int32(MSG_NOSIGNAL))
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(sent))
        }
    }

    /// bind(2); the file must not exist.
    public static func bind(_ socket: borrowing FileDescriptor, to path: String) throws(SystemError) {
        let number = socket.rawValue
        var address = try address(path, "bind")
        try systemCall("bind", path) { withSocketAddress(&address) { Glibc.bind(number, $0, $1) } }
    }

    public static func connect(_ socket: borrowing FileDescriptor, to path: String) throws(SystemError) {
        let number = socket.rawValue
        var address = try address(path, "connect")
        try systemCall("connect", path) { withSocketAddress(&address) { Glibc.connect(number, $0, $1) } }
    }

    /// The process at the other end, by its number in our process namespace; 0 when it is not in it. Of a listener it is
    /// the one that called listen(2). SO_PEERCRED of unix(7).
    public static func peerProcess(_ socket: borrowing FileDescriptor) throws(SystemError) -> Int32 {
        let number = socket.rawValue
        // struct ucred: process, user, group.
        var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        try systemCall("getsockopt(SO_PEERCRED)", "descriptor \(number)") {
            getsockopt(number, SOL_SOCKET, SO_PEERCRED, &credentials, &length)
        }
        return credentials.0
    }

    /// Whether somebody listens at a path: a stream socket's file outlives its process.
    ///
    /// A process that is being killed may still be connected to; its end closes the connection, while one that
    /// lives keeps silent for the fifth of a second that this waits.
    ///
    /// - Throws: when it cannot be known; whoever took that for "nobody" would remove a live one's file.
    public static func isLive(_ path: String) throws(SystemError) -> Bool {
        let probe = try open(nonBlocking: true)
        do throws(SystemError) {
            try connect(probe, to: path)
        } catch {
            switch error.errno.rawValue {
            // Its backlog is full, or it is of another type: so it lives.
            case EAGAIN, EPROTOTYPE: return true
            // Nothing is there, or what nobody listens on.
            case ECONNREFUSED, ENOENT, ENOTDIR: return false
            default: throw error
            }
        }
        return try !waitReadable(probe.rawValue, milliseconds: 200)
    }

    /// Binds and listens, for this user only. The directory is made if it is missing; the file of a socket on which
    /// nobody listens any more is replaced. Two who start at once are kept apart by a lock on the directory.
    ///
    /// - Parameter directoryMode: of directories that are made here.
    /// - Throws: EADDRINUSE when somebody listens there.
    public static func listen(
        at path: String, backlog: Int32, nonBlocking: Bool = false, directoryMode: mode_t
    ) throws(SystemError) -> FileDescriptor {
        try FileLock.withDirectory(directory(of: path), mode: directoryMode) { () throws(SystemError) in
            if try isLive(path) {
                throw SystemError(
                    call: "bind", object: path, errno: Errno(EADDRINUSE), detail: "another engine listens there")
            }
            try File.remove(path)
            let socket = try open(nonBlocking: nonBlocking)
            // Born with the right mode (0700, as wireguard-go's): between bind and chmod somebody could have connected.
            let before = umask(0o077)
            defer { umask(before) }
            try bind(socket, to: path)
            let number = socket.rawValue
            try systemCall("listen", path) { Glibc.listen(number, backlog) }
            return socket
        }
    }

    /// Removes the file unless somebody listens on it.
    public static func removeStale(_ path: String) throws(SystemError) {
        guard File.exists(path) else { return }
        try FileLock.withDirectory(directory(of: path), mode: 0o700) { () throws(SystemError) in
            if try !isLive(path) { try File.remove(path) }
        }
    }

    private static func directory(of path: String) -> String {
        String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }

    private static func address(_ path: String, _ call: String) throws(SystemError) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count <= longestPathBytes else {
            throw SystemError(
                call: call, object: path, errno: Errno(ENAMETOOLONG),
                detail: "a socket's path has at most \(longestPathBytes) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }
}

/// Any socket address as system calls take it. With _GNU_SOURCE glibc declares that parameter as a union.
@inlinable
public func withSocketAddress<Address, Result>(
    _ address: inout Address, _ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Result
) -> Result {
    let size = socklen_t(MemoryLayout<Address>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body(__CONST_SOCKADDR_ARG(__sockaddr__: $0), size)
        }
    }
}
