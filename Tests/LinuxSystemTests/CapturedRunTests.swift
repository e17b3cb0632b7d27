import Glibc
import LinuxSystem
import Testing

@Suite struct CapturedRunTests {
    private func shell(_ script: String) -> Spawn {
        Spawn(.path("/bin/sh"), arguments: ["sh", "-c", script], environment: ["PATH=/usr/bin:/bin"])
    }

    @Test func `input goes in, both outputs and the status come out`() throws {
        let run = try shell("cat; echo oops >&2; exit 3").capture(
            input: Array("hello".utf8), deadlineMilliseconds: 5000)
        #expect(run.ending == .exited(3))
        #expect(String(decoding: run.output, as: UTF8.self) == "hello")
        #expect(String(decoding: run.errorOutput, as: UTF8.self) == "oops\n")
    }

    @Test func `a program that hangs is killed at the deadline, its children with it`() throws {
        let marker = "/tmp/swg-captured-\(getpid())"
        defer { unlink(marker) }
        let run = try shell("(sleep 1; echo late > \(marker)) & sleep 30").capture(deadlineMilliseconds: 200)
        #expect(run.ending == nil)
        #expect(run.refusal != nil)
        sleep(2)
        #expect(!File.exists(marker))
    }

    @Test func `a program that never stops printing is stopped`() throws {
        let run = try shell("yes").capture(deadlineMilliseconds: 10_000, limitBytes: 100_000)
        #expect(run.refusal?.contains("100000") == true)
        #expect(run.output.count == 100_000)
    }

    @Test func `a grandchild that keeps the output open does not outlast the deadline`() throws {
        let run = try shell("sleep 30 & echo done").capture(deadlineMilliseconds: 300)
        #expect(run.refusal != nil)
        #expect(String(decoding: run.output, as: UTF8.self) == "done\n")
    }
}
