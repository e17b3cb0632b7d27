import Glibc
import LinuxSystem
import WireGuardCrypto
import WireGuardModel
import WireGuardUAPI

/// Asks and tells an engine over its UAPI socket. One connection per request; every wait has a deadline, so that
/// a wedged engine is an error and not a hang.
struct UAPIClient {
    let path: String
    var timeoutMilliseconds: Int32 = 3000

    /// `get=1`.
    func status() throws(TunnelError) -> DeviceStatus { try status(askStatus()) }

    /// `get=1`, whose answer is read later: the engine writes it beside what the caller does meanwhile.
    func askStatus() throws(TunnelError) -> PendingAnswer {
        var request = SecretText(capacity: 64)
        request.appendUAPIGet()
        return try send(request, "asking")
    }

    func status(_ answer: borrowing PendingAnswer) throws(TunnelError) -> DeviceStatus {
        try receive(answer, "asking").device
    }

    /// `set=1`.
    func apply(_ change: DeviceChange) throws(TunnelError) {
        var request = SecretText()
        request.append(uapiSet: change)
        let answer = try send(request, "telling")
        _ = try receive(answer, "telling")
    }

    private func send(_ request: borrowing SecretText, _ verb: String) throws(TunnelError) -> PendingAnswer {
        do throws(SystemError) {
            let socket = try connect()
            try request.withBytes { (bytes) throws(SystemError) in try send(bytes, on: socket) }
            return PendingAnswer(socket: socket)
        } catch {
            throw failure(error, verb)
        }
    }

    private func receive(_ answer: borrowing PendingAnswer, _ verb: String) throws(TunnelError) -> UAPIResponse {
        do {
            let response = try read(answer)
            if let errno = response.errno {
                throw SystemError(call: "UAPI", object: path, errno: errno, detail: "the engine refuses")
            }
            return response
        } catch let error as SystemError {
            throw failure(error, verb)
        } catch {
            throw TunnelError(.engine, "\(verb) the engine at \(path): \(error)")
        }
    }

    private func failure(_ error: SystemError, _ verb: String) -> TunnelError {
        let dead = error.errno.rawValue == ECONNREFUSED || error.errno.rawValue == ENOENT
        return TunnelError(
            error, doing: "\(verb) the engine", kind: .engine,
            cure: dead ? "the engine is not running: swg-ns repair" : nil)
    }

    /// With a time limit for connecting, too: the backlog of an engine that does not accept fills up with callers
    /// who have given up, and then connect(2) waits.
    private func connect() throws(SystemError) -> FileDescriptor {
        let socket = try UnixSocket.open()
        try UnixSocket.limitSending(socket, milliseconds: timeoutMilliseconds, object: path)
        do throws(SystemError) {
            try UnixSocket.connect(socket, to: path)
        } catch {
            throw error.errno.rawValue == EAGAIN ? late("connect") : error
        }
        return socket
    }

    private func late(_ call: String) -> SystemError {
        SystemError(call: call, object: path, errno: Errno(ETIMEDOUT), detail: "the engine does not answer")
    }

    private func send(_ bytes: UnsafeRawBufferPointer, on socket: borrowing FileDescriptor) throws(SystemError) {
        do throws(SystemError) {
            try UnixSocket.sendAll(bytes, on: socket, object: path)
        } catch {
            throw error.errno.rawValue == EAGAIN ? late("send") : error
        }
    }

    private func read(_ answer: borrowing PendingAnswer) throws -> UAPIResponse {
        // From here, however long the caller was busy: a long answer waits for its reader half-way.
        let deadline = BootTime.now.advanced(byNanoseconds: UInt64(max(timeoutMilliseconds, 0)) * 1_000_000)
        let buffer = LockedBuffer(byteCount: LockedMemory.pageBytes)
        var parser = UAPIResponseParser()
        let number = answer.socket.rawValue
        while true {
            let remaining = Int32(clamping: deadline.since(BootTime.now) / 1_000_000)
            guard try waitReadable(number, milliseconds: remaining) else { throw late("read") }
            let count = try systemCall("read", path) {
                Glibc.read(number, buffer.bytes.baseAddress, buffer.bytes.count)
            }
            guard count > 0 else {
                throw SystemError(call: "read", object: path, errno: Errno(EPIPE), detail: "the engine hung up")
            }
            if let response = try parser.feed(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count])) {
                return response
            }
        }
    }
}

/// A request that the engine works on.
struct PendingAnswer: ~Copyable {
    fileprivate let socket: FileDescriptor
}
