import LinuxSystem
import Testing

@testable import WireGuardEngine

struct StallWatchTests {
    private func seconds(_ count: UInt64) -> BootTime { BootTime(nanoseconds: count * 1_000_000_000) }

    @Test func `U5: a client in the backlog waits five seconds, whoever comes after it`() {
        var watch = StallWatch()
        #expect(watch.deadline == nil)
        watch.clientWaits(at: seconds(10))
        watch.clientWaits(at: seconds(12))
        #expect(watch.deadline == seconds(15))
        watch.backlogIsEmpty()
        #expect(watch.deadline == nil)
    }

    @Test func `U5: a small request has five seconds, one of a million lines as much as it may need`() {
        var watch = StallWatch()
        watch.requestBegins(lines: 0, at: seconds(10))
        #expect(watch.deadline == seconds(15))
        watch.workEnded()
        #expect(watch.deadline == nil)
        watch.requestBegins(lines: 1_000_000, at: seconds(20))
        #expect(watch.deadline == seconds(125))
    }

    @Test func `while one client is served, the next may wait longer`() {
        var watch = StallWatch()
        watch.requestBegins(lines: 1_000_000, at: seconds(10))
        watch.clientWaits(at: seconds(11))
        #expect(watch.deadline == seconds(115))
        watch.workEnded()
        #expect(watch.deadline == seconds(16))
    }

    @Test func `a worker that lies about its work is still replaced`() {
        var watch = StallWatch()
        watch.requestBegins(lines: .max, at: seconds(0))
        #expect(watch.deadline == seconds(405))
        watch.replaced(at: seconds(405))
        #expect(watch.deadline == seconds(410))
    }

    @Test func `a new worker has time for the configuration that it takes over`() {
        var watch = StallWatch()
        watch.clientWaits(at: seconds(0))
        watch.workerStarts(configurationBytes: 20_000_000, at: seconds(1))
        #expect(watch.deadline == seconds(106))
    }
}
