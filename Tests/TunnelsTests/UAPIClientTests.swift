import CLinux
import Glibc
import LinuxSystem
import Testing
import WireGuardModel

@testable import Tunnels

struct UAPIClientTests {
    private let temporary = TemporaryState()

    @Test func `an engine that accepts nobody is an error in time, when its backlog is full, too`() throws {
        let path = "\(temporary.state.path)/wedged.sock"
        let listener = try UnixSocket.listen(at: path, backlog: 0, directoryMode: 0o700)
        for _ in 0..<4 {
            let begin = BootTime.now
            let error = #expect(throws: TunnelError.self) {
                try UAPIClient(path: path, timeoutMilliseconds: 50).status()
            }
            #expect(error?.message.contains("ETIMEDOUT") == true, "\(String(describing: error))")
            #expect(BootTime.now.since(begin) < 60_000_000_000)
        }
        withExtendedLifetime(listener.rawValue) {}
    }

    @Test func `the time for an answer counts from when its reader comes, for its second half, too`() throws {
        let path = "\(temporary.state.path)/patient.sock"
        let listener = try UnixSocket.listen(at: path, backlog: 1, directoryMode: 0o700)
        let client = UAPIClient(path: path, timeoutMilliseconds: 1000)
        let answer = try client.askStatus()
        usleep(1_100_000)
        let engine = FileDescriptor(
            owning:
                accept4(listener.rawValue, __SOCKADDR_ARG(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue)))
        try engine.writeAll("listen_port=7\n")
        let (sent, status) = try beside({
            usleep(20_000)
            return (try? engine.writeAll("errno=0\n\n")) != nil
        }) { try client.status(answer) }
        #expect(sent && status.configuration.listenPort == 7)
    }
}
