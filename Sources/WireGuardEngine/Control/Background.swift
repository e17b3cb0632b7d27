import CLinux
import Glibc
import LinuxSystem

/// Going into the background, as wireguard-go does without `-f`: the caller gets its prompt back when the
/// interface and its UAPI socket are there, and an exit status that says whether they are.
enum Background {
    /// Forks before any key is in memory and before any thread runs; the child serves, the parent waits for its word.
    static func run(_ options: LaunchOptions, _ serve: (Readiness) -> Int32) -> Int32 {
        var ends: (Int32, Int32) = (-1, -1)
        guard withUnsafeMutableBytes(of: &ends, { pipe2($0.bindMemory(to: Int32.self).baseAddress, O_CLOEXEC) }) == 0
        else {
            WireGuardEngine.complain("swg-engine: pipe: \(Errno.current)")
            return 1
        }
        let child = fork()
        if child < 0 {
            WireGuardEngine.complain("swg-engine: fork: \(Errno.current)")
            return 1
        }
        if child > 0 {
            close(ends.1)
            return waitForWord(ends.0)
        }
        close(ends.0)
        setsid()
        chdir("/")
        // Standard error stays with whoever asked for a log, as in wireguard-go; else nobody's terminal is held.
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        for number in 0...(options.keepsOutput ? 0 : 2) where null >= 0 { dup2(null, Int32(number)) }
        var numbers = [ends.1]
        if let ready = options.ready { numbers.append(ready) }
        if null > 2 { close(null) }
        return serve(Readiness(numbers))
    }

    /// `ready\n` is success, anything else is the reason why not.
    private static func waitForWord(_ pipe: Int32) -> Int32 {
        let source = FileDescriptor(owning: pipe)
        let words = (try? source.readAll(limitBytes: 4096)) ?? []
        let text = String(decoding: words, as: UTF8.self)
        if text == "ready\n" { return 0 }
        WireGuardEngine.complain(
            text.isEmpty ? "swg-engine: the engine ended before it was ready" : "swg-engine: \(text)", to: 2)
        return 1
    }
}
