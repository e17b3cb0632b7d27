import Glibc
import LinuxSystem
import Testing

@Suite struct CapturedRunTests {
    private func shell(_ script: String) -> Spawn {
        Spawn(.path("/bin/sh"), arguments: ["sh", "-c", script], environment: ["PATH=/usr/bin:/bin"])
    }

    /// A script that says something and goes on for ever. On a busy machine it may not have come to that by an early
    /// deadline.
    private func hanging(_ script: String) throws -> CapturedRun {
        for deadline in [200, 2000] as [Int32] {
            let run = try shell(script).capture(deadlineMilliseconds: deadline)
            if !run.output.isEmpty { return run }
        }
        return try shell(script).capture(deadlineMilliseconds: 20_000)
    }

    @Test func `input goes in, both outputs and the status come out`() throws {
        let run = try shell("cat; echo oops >&2; exit 3").capture(
            input: Array("hello".utf8), deadlineMilliseconds: 60_000)
        #expect(run.ending == .exited(3))
        #expect(String(decoding: run.output, as: UTF8.self) == "hello")
        #expect(String(decoding: run.errorOutput, as: UTF8.self) == "oops\n")
    }

    @Test func `a program that hangs is killed at the deadline, its children with it`() throws {
        let run = try hanging("sleep 300 & echo $!; sleep 300")
        #expect(run.ending == nil)
        #expect(run.refusal != nil)
        let child = try #require(pid_t(String(decoding: run.output, as: UTF8.self).dropLast()))
        // Killed, it is still there until somebody has collected it.
        func lives() -> Bool {
            guard let status = try? File.readText("/proc/\(child)/stat") else { return false }
            return !status.contains(") Z ")
        }
        let limit = BootTime.now.advanced(byNanoseconds: 20_000_000_000)
        while lives(), BootTime.now < limit { usleep(5000) }
        #expect(!lives())
    }

    @Test func `a program that never stops printing is stopped`() throws {
        let run = try shell("yes").capture(deadlineMilliseconds: 60_000, limitBytes: 100_000)
        #expect(run.refusal?.contains("100000") == true)
        #expect(run.output.count == 100_000)
    }

    @Test func `a grandchild that keeps the output open does not outlast the deadline`() throws {
        let run = try hanging("sleep 300 & echo done")
        #expect(run.refusal != nil)
        #expect(String(decoding: run.output, as: UTF8.self) == "done\n")
    }
}
