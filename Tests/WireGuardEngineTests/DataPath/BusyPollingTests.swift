import CLinux
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import WireGuardEngine

/// Looking itself: it finds what is there, sleeps when nothing comes, and loses its permission by that.
@Suite struct BusyPollingTests {
    private final class Bench {
        let loops = LoopProgressPointer.allocate(capacity: 1)
        let poll: EventPoll
        let wake: EventCounter

        init() throws {
            loops.initialize(to: LoopProgress())
            poll = try EventPoll()
            wake = try EventCounter()
            try poll.add(wake.descriptor.rawValue, .readable, token: 7)
        }

        deinit {
            loops.deinitialize(count: 1)
            loops.deallocate()
        }

        func grant(_ round: UInt32) { loops.pointee.pollingRound.store(round, ordering: .relaxed) }

        /// The token of what came; a timer of `milliseconds` makes it come later.
        func wait(_ polling: inout BusyPolling, milliseconds: Int? = nil) throws -> UInt64? {
            let number = wake.descriptor.rawValue
            if let milliseconds {
                try WorkerThread.start("later") {
                    usleep(UInt32(milliseconds) * 1000)
                    signal(number)
                }
            } else {
                signal(number)
            }
            var event = epoll_event()
            let count = polling.wait(poll.descriptor.rawValue, &event)
            wake.drain()
            return count == 1 ? event.data.u64 : nil
        }
    }

    @Test func `a packet is found with and without permission, and costs no credit`() throws {
        let bench = try Bench()
        var polling = BusyPolling(isPossible: true, loops: bench.loops)
        #expect(try bench.wait(&polling) == 7)
        #expect(polling.isExhausted, "nothing is granted yet")
        bench.grant(1)
        for _ in 0..<1000 { #expect(try bench.wait(&polling) == 7) }
        #expect(!polling.isExhausted)
    }

    @Test func `looking in vain ends in sleep and uses the credit up, until the next permission`() throws {
        let bench = try Bench()
        var polling = BusyPolling(isPossible: true, loops: bench.loops)
        bench.grant(1)
        #expect(try bench.wait(&polling, milliseconds: 5) == 7)
        #expect(!polling.isExhausted, "once is nothing")
        for _ in 0..<15 { #expect(try bench.wait(&polling, milliseconds: 5) == 7) }
        #expect(polling.isExhausted)
        #expect(try bench.wait(&polling, milliseconds: 5) == 7, "it sleeps at once, and wakes up")
        bench.grant(2)
        #expect(try bench.wait(&polling) == 7)
        #expect(!polling.isExhausted)
    }

    @Test func `with a single processor it never looks`() throws {
        let bench = try Bench()
        var polling = BusyPolling(isPossible: false, loops: bench.loops)
        bench.grant(1)
        for _ in 0..<20 { #expect(try bench.wait(&polling, milliseconds: 1) == 7) }
        #expect(!polling.isExhausted, "so that nothing was in vain")
    }
}
