import Testing
import WireGuardTestSupport

@testable import WireGuardEngine

/// The cases of the kernel's selftest/counter.c, and random ones against a set.
@Suite struct ReplayWindowTests {
    @Test func `S6: the 34 steps of the kernel's self-test`() {
        let limit = UInt64(ReplayWindow.usableBits) + 1
        let reject = ProtocolLimits.rejectAfterMessages
        let steps: [(UInt64, Bool)] = [
            (0, true), (1, true), (1, false), (9, true), (8, true), (7, true), (7, false), (limit, true),
            (limit - 1, true), (limit - 1, false), (limit - 2, true), (2, true), (2, false), (limit + 16, true),
            (3, false),
            (limit + 16, false), (limit * 4, true), (limit * 4 - (limit - 1), true), (10, false),
            (limit * 4 - limit, false),
            (limit * 4 - (limit + 1), false), (limit * 4 - (limit - 2), true), (limit * 4 + 1 - limit, false),
            (0, false),
            (reject, false), (reject - 1, true), (reject, false), (reject - 1, false), (reject - 2, true),
            (reject + 1, false),
            (reject + 2, false), (reject - 2, false), (reject - 3, true), (0, false),
        ]
        var window = ReplayWindow()
        for (number, step) in steps.enumerated() {
            let admitted = window.admit(step.0)
            #expect(admitted == step.1, "step \(number + 1)")
        }
    }

    private func expectAll(_ window: inout ReplayWindow, _ counters: some Sequence<UInt64>, _ expected: Bool) {
        var wrong = 0
        for counter in counters { if window.admit(counter) != expected { wrong += 1 } }
        #expect(wrong == 0)
    }

    @Test func `S6: the six bulk cases of the kernel's self-test, at both edges of the window`() {
        let size = UInt64(ReplayWindow.usableBits)
        var window = ReplayWindow()
        expectAll(&window, 1...size, true)
        expectAll(&window, [0], true)
        expectAll(&window, [0], false)

        window = ReplayWindow()
        expectAll(&window, 2...(size + 1), true)
        expectAll(&window, [1], true)
        expectAll(&window, [0], false)

        window = ReplayWindow()
        expectAll(&window, (0...size).reversed(), true)

        window = ReplayWindow()
        expectAll(&window, (1...(size + 1)).reversed(), true)
        expectAll(&window, [0], false)

        window = ReplayWindow()
        expectAll(&window, (1...size).reversed(), true)
        expectAll(&window, [size + 1], true)
        expectAll(&window, [0], false)

        window = ReplayWindow()
        expectAll(&window, (1...size).reversed(), true)
        expectAll(&window, [0], true)
        expectAll(&window, [size + 1], true)
    }

    @Test func `S6: whatever the order, each counter is admitted once, and none that is too old`() {
        var generator = SeededGenerator(seed: 6479)
        for _ in 0..<20 {
            var window = ReplayWindow()
            var seen: Set<UInt64> = []
            var greatest: UInt64 = 0
            for _ in 0..<3000 {
                let step = generator.oneIn(50) ? generator.below(30000) : generator.below(9000)
                let counter = generator.oneIn(2) ? greatest + UInt64(step % 64) : UInt64(max(0, Int(greatest) - step))
                let tooOld = greatest >= 8128 + counter
                let admitted = window.admit(counter)
                // Words are cleared as a whole, so a little more than the window may be remembered.
                if seen.contains(counter) { #expect(!admitted) } else { #expect(admitted == !tooOld) }
                if admitted { seen.insert(counter) }
                greatest = max(greatest, counter)
            }
        }
    }
}
