import Glibc
import LinuxSystem
import Testing

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
}
