import Glibc
import LinuxSystem
import Testing
import WireGuardTestSupport

@testable import WireGuardEngine

/// Which traffic makes the loops look for packets before they sleep, and how much of a processor the others cost.
@Suite struct PollingTrialTests {
    /// Packets under a clock of our own: `period` says when the next comes, of whether the loops look.
    private struct Traffic {
        var trial = PollingTrial()
        var now = BootTime(nanoseconds: 1_000_000_000)
        /// What a packet that comes moves, both ways together.
        var packetBytes: UInt64 = 200
        var movedBytes: UInt64 = 0
        var lookedNanoseconds: UInt64 = 0
        var totalNanoseconds: UInt64 = 0

        mutating func run(seconds: Double, _ period: (Bool) -> UInt64) {
            let end = now.advanced(byNanoseconds: UInt64(seconds * 1e9))
            let start = now
            while now < end {
                let isLooking = trial.isLooking
                let waited = period(isLooking)
                now = now.advanced(byNanoseconds: waited)
                if isLooking { lookedNanoseconds += min(waited, BusyPolling.longestLookNanoseconds) }
                trial.packetCame(at: now, movedBytes: movedBytes, isExhausted: false)
                movedBytes += packetBytes
            }
            totalNanoseconds += now.since(start)
        }

        var shareOfProcessor: Double { Double(lookedNanoseconds) / Double(totalNanoseconds) }
    }

    @Test func `an exchange that gets faster by looking is looked at nearly all the time, and soon`() {
        var traffic = Traffic()
        traffic.run(seconds: 0.05) { $0 ? 50_000 : 150_000 }
        #expect(traffic.trial.isLooking)
        var asleep = 0
        var awake = 0
        traffic.run(seconds: 10) {
            if $0 { awake += 1 } else { asleep += 1 }
            return $0 ? 50_000 : 150_000
        }
        #expect(Double(asleep) < 0.01 * Double(awake), "so that no percentile of a hundred sees the comparisons")
    }

    @Test(arguments: [2_000, 20_000, 60_000, 120_000, 199_000] as [UInt64])
    func `a stream whose sender sets the pace costs next to nothing, whatever its pace`(period: UInt64) {
        var traffic = Traffic()
        traffic.run(seconds: 60) { _ in period }
        #expect(!traffic.trial.isLooking || traffic.shareOfProcessor < 0.01)
        #expect(traffic.shareOfProcessor < 0.01)
        #expect(traffic.lookedNanoseconds > 0, "it was tried")
    }

    @Test func `an exchange whose sleeps take now long, now short is found, too`() {
        var random = SeededGenerator(seed: 1)
        var traffic = Traffic()
        traffic.run(seconds: 0.1) { $0 ? 40_000 : UInt64.random(in: 100_000...350_000, using: &random) }
        #expect(traffic.trial.isLooking)
    }

    @Test func `a host that takes processors away for a moment again and again hides no exchange`() {
        var traffic = Traffic()
        var count = 0
        func late(_ period: UInt64) -> UInt64 {
            count += 1
            return count % 60 == 0 ? 3_000_000 : period
        }
        traffic.run(seconds: 0.1) { late($0 ? 50_000 : 150_000) }
        #expect(traffic.trial.isLooking)
        traffic.lookedNanoseconds = 0
        traffic.totalNanoseconds = 0
        traffic.run(seconds: 60) { _ in late(60_000) }
        #expect(traffic.shareOfProcessor < 0.01, "and makes none of a stream")
    }

    @Test func `one packet that comes late decides no comparison`() {
        var traffic = Traffic()
        var awake = 0
        traffic.run(seconds: 0.06) {
            if $0 { awake += 1 }
            return $0 ? (awake == 60 ? 9_900_000 : 50_000) : 150_000
        }
        #expect(traffic.trial.isLooking)
    }

    @Test func `packets that come by chance are seldom mistaken for an exchange`() {
        for seed in 1...5 as ClosedRange<UInt64> {
            var random = SeededGenerator(seed: seed)
            var traffic = Traffic()
            traffic.run(seconds: 30) { _ in UInt64(-50_000 * log(Double.random(in: 0.0001...1, using: &random))) }
            #expect(traffic.shareOfProcessor < 0.05, "seed \(seed)")
        }
    }

    @Test func `packets far from each other are never looked for`() {
        var traffic = Traffic()
        traffic.run(seconds: 60) { _ in BusyPolling.longestLookNanoseconds + 60_000 }
        #expect(traffic.lookedNanoseconds == 0)
        traffic = Traffic()
        var bursts = 0
        traffic.run(seconds: 60) { _ in
            bursts += 1
            return bursts % 100 == 0 ? 20_000_000 : 10_000
        }
        #expect(traffic.lookedNanoseconds == 0, "bursts that are shorter than a sample")
    }

    @Test func `an exchange behind a stream need not wait for the end of a long rest`() {
        var traffic = Traffic()
        traffic.run(seconds: 60) { _ in 30_000 }
        #expect(!traffic.trial.isLooking)
        traffic.run(seconds: 0.6) { $0 ? 50_000 : 150_000 }
        #expect(traffic.trial.isLooking)
    }

    @Test func `an exchange behind a stream of its own pace is known by its bytes, and forgiven a failure`() {
        // Wherever in a rest of four seconds it begins.
        for start in 0..<20 {
            var traffic = Traffic()
            traffic.packetBytes = 60_000
            traffic.run(seconds: 60 + Double(start) / 5) { _ in 150_000 }
            traffic.packetBytes = 200
            // The other end looks meanwhile, and the first comparison shows no gain.
            traffic.run(seconds: 0.25) { _ in 100_000 }
            traffic.run(seconds: 0.5) { $0 ? 50_000 : 100_000 }
            #expect(traffic.trial.isLooking, "\(start)")
        }
    }

    @Test func `what has been found to gain keeps looking for a smaller gain`() {
        var traffic = Traffic()
        traffic.run(seconds: 1) { $0 ? 50_000 : 150_000 }
        traffic.lookedNanoseconds = 0
        traffic.totalNanoseconds = 0
        traffic.run(seconds: 10) { $0 ? 85_000 : 100_000 }
        #expect(traffic.shareOfProcessor > 0.9)
        var other = Traffic()
        other.run(seconds: 10) { $0 ? 85_000 : 100_000 }
        #expect(other.shareOfProcessor < 0.05)
    }

    @Test func `a stream whose bytes change all the time costs no more than a tenth`() {
        var traffic = Traffic()
        var count = 0
        traffic.run(seconds: 60) { _ in
            count += 1
            return 100_000
        }
        var changing = Traffic()
        for round in 0..<600 {
            changing.packetBytes = round % 2 == 0 ? 200 : 60_000
            changing.run(seconds: 0.1) { _ in round % 3 == 0 ? 40_000 : 150_000 }
        }
        #expect(changing.shareOfProcessor < 0.1)
        #expect(changing.lookedNanoseconds > traffic.lookedNanoseconds)
    }

    @Test func `a stream whose pace changes all the time is tried again and again, and still costs little`() {
        var traffic = Traffic()
        var count = 0
        traffic.run(seconds: 60) { _ in
            count += 1
            return count / 1000 % 2 == 0 ? 20_000 : 120_000
        }
        #expect(traffic.shareOfProcessor < 0.15)
    }

    @Test func `an exchange that turns into a stream is given up at the next comparison, and one that ends at once`() {
        var traffic = Traffic()
        traffic.run(seconds: 5) { $0 ? 50_000 : 150_000 }
        #expect(traffic.trial.isLooking)
        traffic.lookedNanoseconds = 0
        traffic.totalNanoseconds = 0
        traffic.run(seconds: 60) { _ in 50_000 }
        #expect(traffic.shareOfProcessor < 0.04, "the rest of one grant and a sample now and then")

        traffic.run(seconds: 10) { $0 ? 50_000 : 150_000 }
        #expect(traffic.trial.isLooking, "and it may come back")
        traffic.trial.packetCame(at: traffic.now, movedBytes: 0, isExhausted: true)
        #expect(!traffic.trial.isLooking, "looking in vain ends it")
    }
}
