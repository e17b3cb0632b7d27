import Glibc
import LinuxSystem

/// A connection to a message bus on which every wait has one common deadline.
struct DBusConnection: ~Copyable {
    private let socket: FileDescriptor
    private let deadline: BootTime
    private var received: [UInt8] = []
    private var nextSerial: UInt32 = 1

    private init(socket: consuming FileDescriptor, deadline: BootTime) {
        self.socket = socket
        self.deadline = deadline
    }

    /// Connects, authenticates as this user (SASL EXTERNAL) and says hello.
    static func open(path: String, deadline: BootTime) throws -> DBusConnection {
        let socket = try UnixSocket.open(nonBlocking: true)
        try UnixSocket.connect(socket, to: path)
        // A plugin in a pod sees the host's bus, but its processes have other numbers there: those of strangers (P5).
        guard try UnixSocket.peerProcess(socket) != 0 else {
            throw SystemError(
                call: "connect", object: path, errno: Errno(ESRCH), detail: "the bus is in another process namespace")
        }
        var connection = DBusConnection(socket: socket, deadline: deadline)
        try connection.greet(path)
        return connection
    }

    private mutating func greet(_ path: String) throws {
        let identity = "\(getuid())".utf8.map { String($0, radix: 16) }.joined()
        try socket.writeAll("\0AUTH EXTERNAL \(identity)\r\n", object: path)
        while !received.contains(UInt8(ascii: "\n")) { try receive() }
        guard received.starts(with: "OK ".utf8) else {
            throw SystemError(call: "AUTH", object: path, errno: Errno(EACCES))
        }
        received.removeAll()
        try socket.writeAll("BEGIN\r\n", object: path)
        _ = try call(
            .call("Hello", on: "/org/freedesktop/DBus", of: "org.freedesktop.DBus", at: "org.freedesktop.DBus"))
    }

    /// Sends a call and waits for its answer; signals that come first are dropped.
    ///
    /// - Throws: the bus's error as `DBusRefusal`, or the deadline as ETIMEDOUT.
    mutating func call(_ message: DBusMessage) throws -> DBusMessage {
        let serial = try send(message)
        while true {
            let answer = try next()
            guard answer.replySerial == serial else { continue }
            if answer.kind == .error {
                var reader = DBusReader(bytes: answer.body)
                let text = answer.signature.hasPrefix("s") ? try reader.string() : ""
                throw DBusRefusal(name: answer.errorName ?? "error", text: text)
            }
            return answer
        }
    }

    /// Sends a call without waiting; its serial.
    @discardableResult
    mutating func send(_ message: DBusMessage) throws -> UInt32 {
        var message = message
        message.serial = nextSerial
        nextSerial += 1
        try socket.writeAll(message.encoded(), object: "D-Bus")
        return message.serial
    }

    /// The next message of any kind.
    mutating func next() throws -> DBusMessage {
        while true {
            if let (message, count) = try DBusMessage.decode(received) {
                received.removeFirst(count)
                return message
            }
            try receive()
        }
    }

    private mutating func receive() throws {
        let remaining = Int32(clamping: deadline.since(.now) / 1_000_000)
        guard remaining > 0, try waitReadable(socket.rawValue, milliseconds: remaining) else {
            throw SystemError(call: "recv", object: "D-Bus", errno: Errno(ETIMEDOUT))
        }
        var chunk = [UInt8](repeating: 0, count: 4096)
        let number = socket.rawValue
        guard let count = try systemCallUnlessBlocked("recv", "D-Bus", { recv(number, &chunk, chunk.count, 0) }) else {
            return
        }
        guard count > 0 else { throw SystemError(call: "recv", object: "D-Bus", errno: Errno(ECONNRESET)) }
        received.append(contentsOf: chunk[..<count])
    }
}

/// An error message of the bus or of the service behind it.
struct DBusRefusal: Error, CustomStringConvertible {
    let name: String
    let text: String
    var description: String { text.isEmpty ? name : "\(name): \(text)" }
}
