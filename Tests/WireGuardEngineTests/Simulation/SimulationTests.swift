import Glibc
import Synchronization
import Testing

@testable import WireGuardEngine

/// Seeds from SWG_SEED (one, to replay a failure; SWG_TRACE=1 shows what its devices do) or the first SWG_SEEDS; by
/// default a few in a debug build, where the cryptography is slow, and 1,500 in an optimised one, which does some
/// 3,600 a minute on one core. A failure prints the variable that brings it back:
///
///     SWG_SEED=17 SWG_TRACE=1 SWG_SIMULATION=1 swift test -c release -Xswiftc -enable-testing --filter SimulationTests
@Suite struct SimulationTests {
    private static var seeds: [UInt64] {
        if let one = number("SWG_SEED") { return [one] }
        #if DEBUG
            let usual: UInt64 = 12
        #else
            let usual: UInt64 = 1500
        #endif
        return Array(0..<(number("SWG_SEEDS") ?? usual))
    }

    private static func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    @Test
    func
        `devices on a hostile network: no nonce twice, no replay, nothing unauthenticated, timers to the letter, and healed in time`()
        async
    {
        let seeds = SimulationTests.seeds
        let next = NextSeed()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    while let index = next.take(below: seeds.count) {
                        let simulation = Simulation(seed: seeds[index])
                        let violation = simulation.run()
                        next.steps.wrappingAdd(simulation.stepCount, ordering: .relaxed)
                        next.suspensions.wrappingAdd(simulation.suspensionCount, ordering: .relaxed)
                        if let violation { Issue.record("SWG_SEED=\(seeds[index]): \(violation)") }
                    }
                }
            }
        }
        print(
            "simulation: \(seeds.count) seeds, \(next.steps.load(ordering: .relaxed)) steps, "
                + "\(next.suspensions.load(ordering: .relaxed)) times in the middle of one")
    }

    private final class NextSeed: Sendable {
        private let index = Atomic<Int>(0)
        let steps = Atomic<Int>(0)
        let suspensions = Atomic<Int>(0)

        func take(below count: Int) -> Int? {
            let mine = index.wrappingAdd(1, ordering: .relaxed).oldValue
            return mine < count ? mine : nil
        }
    }

    @Test func `a seed is a whole run: the same seed gives the same run`() {
        let first = Simulation(seed: 4711)
        let second = Simulation(seed: 4711)
        #expect(first.run() == second.run())
        #expect(first.stepCount == second.stepCount)
    }
}
