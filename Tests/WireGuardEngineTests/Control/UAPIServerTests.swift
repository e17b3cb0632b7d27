import CLinux
import Glibc
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// The server over a real socket, its device played by the test.
@Suite struct UAPIServerTests {
    private final class Handler: UAPIRequestHandler {
        var answer = "listen_port=7\n"
        var changes: [DeviceChange] = []
        var refusal: Errno?
        var begun: [DeviceChange?] = []
        var ended = 0

        func describe(into output: inout SecretText) { output.append(answer) }
        func apply(_ change: DeviceChange) -> Errno? {
            changes.append(change)
            return refusal
        }
        func requestBegins(changing change: DeviceChange?) { begun.append(change) }
        func requestEnds() { ended += 1 }
    }

    private final class Fixture {
        let handler = Handler()
        let server: UAPIServer
        let poll: EventPoll
        private let listener: FileDescriptor
        private let path = "/tmp/swg-uapi-\(getpid())-\(UInt64.random(in: 0 ... .max)).sock"

        init() throws {
            listener = try UnixSocket.listen(at: path, backlog: 128, nonBlocking: true, directoryMode: 0o755)
            poll = try EventPoll()
            server = UAPIServer(
                listener: listener.rawValue, poll: poll.descriptor.rawValue, firstToken: 16,
                interfaceIndex: { _ in nil })
        }

        deinit { unlink(path) }

        /// A client, connected and accepted.
        func connect() throws -> Int32 {
            let number = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let path = path
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            try systemCall("connect") { withSocketAddress(&address) { Glibc.connect(number, $0, $1) } }
            server.accept()
            return number
        }

        /// One look at everything that epoll names.
        func serve(milliseconds: Int32 = 0) throws {
            try poll.wait(timeoutMilliseconds: milliseconds) { event in
                if server.owns(token: event.token) { server.serve(token: event.token, handler) }
            }
        }

        func ask(_ number: Int32, _ text: String) throws -> String? {
            _ = text.withCString { write(number, $0, strlen($0)) }
            try serve(milliseconds: 1000)
            return hear(number)
        }

        /// What has come; nil at the end of the connection.
        func hear(_ number: Int32) -> String? {
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            let count = read(number, &buffer, buffer.count)
            return count == 0 || count < 0 && errno != EAGAIN
                ? nil : String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
        }
    }

    private static let get = "get=1\n\n"
    private static let answer = "listen_port=7\nerrno=0\n\n"

    @Test func `U2, U3: requests are answered, each between its beginning and its end, and refusals are negative`()
        throws
    {
        let fixture = try Fixture()
        let client = try fixture.connect()
        defer { close(client) }
        #expect(try fixture.ask(client, UAPIServerTests.get) == UAPIServerTests.answer)
        #expect(try fixture.ask(client, "set=1\nlisten_port=9\n\n") == "errno=0\n\n")
        fixture.handler.refusal = Errno(EADDRINUSE)
        #expect(
            try fixture.ask(client, "set=1\nfwmark=1\n\nget=1\n\n") == "errno=-\(EADDRINUSE)\n\n"
                + UAPIServerTests.answer)
        #expect(fixture.handler.changes.map(\.listenPort) == [9, nil])
        #expect(fixture.handler.begun.map { $0?.listenPort } == [nil, 9, nil, nil] && fixture.handler.ended == 4)
        #expect(fixture.handler.begun.map { $0 == nil } == [true, false, false, true])
        // A line without an equals sign.
        #expect(try fixture.ask(client, "set=1\nnonsense\n\n") == "errno=-\(EPROTO)\n\n")
        #expect(try fixture.ask(client, "hello\n") == nil)
    }

    @Test func `U5: the end of the stream ends the request and is answered, and an empty probe is nobody's business`()
        throws
    {
        let fixture = try Fixture()
        let client = try fixture.connect()
        defer { close(client) }
        _ = "set=1\nlisten_port=5".withCString { write(client, $0, strlen($0)) }
        shutdown(client, Int32(SHUT_WR))
        try fixture.serve(milliseconds: 1000)
        #expect(fixture.hear(client) == "errno=0\n\n" && fixture.hear(client) == nil)
        #expect(fixture.handler.changes.map(\.listenPort) == [5])
        close(try fixture.connect())
        try fixture.serve(milliseconds: 1000)
        #expect(fixture.handler.begun.count == 1)
    }

    @Test func `U5: 32 clients are served, and the one that was silent for longest makes room`() throws {
        let fixture = try Fixture()
        var clients: [Int32] = []
        defer { for client in clients { close(client) } }
        for _ in 0..<UAPIServer.connectionLimit { clients.append(try fixture.connect()) }
        // The third is the only one that has not spoken since.
        for (index, client) in clients.enumerated() where index != 2 {
            #expect(try fixture.ask(client, UAPIServerTests.get) == UAPIServerTests.answer)
        }
        clients.append(try fixture.connect())
        #expect(fixture.hear(clients[2]) == nil)
        for (index, client) in clients.enumerated() where index != 2 {
            #expect(try fixture.ask(client, UAPIServerTests.get) == UAPIServerTests.answer, "client \(index)")
        }
    }

    @Test func `U5: five seconds for each bit of progress inside a request; who is idle may stay`() throws {
        let fixture = try Fixture()
        let (idle, slow) = (try fixture.connect(), try fixture.connect())
        defer { for client in [idle, slow] { close(client) } }
        #expect(fixture.server.deadline == nil)
        let before = BootTime.now
        #expect(try fixture.ask(slow, "set=1\nlisten_") == "")
        let deadline = try #require(fixture.server.deadline)
        #expect(deadline.since(before) >= 5_000_000_000 && deadline.since(.now) <= 5_000_000_000)
        usleep(2000)
        _ = try fixture.ask(slow, "port")
        let later = try #require(fixture.server.deadline)
        #expect(later > deadline)
        fixture.server.expire(now: BootTime(nanoseconds: later.nanoseconds - 1))
        #expect(fixture.hear(slow) == "")
        fixture.server.expire(now: later)
        #expect(fixture.hear(slow) == nil && fixture.hear(idle) == "")
        #expect(fixture.server.deadline == nil && fixture.handler.changes.isEmpty)
        fixture.server.expire(now: later.advanced(byNanoseconds: 3600 * 1_000_000_000))
        #expect(try fixture.ask(idle, UAPIServerTests.get) == UAPIServerTests.answer)
    }

    @Test func `U5: who does not read its answer is not asked for more, has five seconds, and gets it whole`() throws {
        let fixture = try Fixture()
        fixture.handler.answer = String(repeating: "x", count: 3 << 20)
        let client = try fixture.connect()
        defer { close(client) }
        for _ in 0..<3 { _ = UAPIServerTests.get.withCString { write(client, $0, strlen($0)) } }
        try fixture.serve(milliseconds: 1000)
        #expect(fixture.handler.begun.count == 1, "the next request waits until the first answer is read")
        #expect(fixture.server.deadline != nil)
        var total = 0
        for _ in 0..<100_000 where total < 3 * (3 << 20 + 9) {
            total += fixture.hear(client)?.utf8.count ?? 0
            try fixture.serve()
        }
        #expect(total == 3 * (3 << 20 + 9) && fixture.handler.begun.count == 3)
        #expect(fixture.server.deadline == nil)
    }
}
