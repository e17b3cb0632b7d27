import IPAddressing
import LinuxSystem
import Testing

@testable import WireGuardEngine

@Suite struct NarrowPathsTests {
    private let start = BootTime(nanoseconds: 1_000_000_000_000)

    private func path(_ number: UInt8, port: UInt16 = 51820) -> DatagramPath {
        DatagramPath(Endpoint(address: .v4(IPv4Address(192, 0, 2, number)), port: port))
    }

    private func after(_ nanoseconds: UInt64) -> BootTime { start.advanced(byNanoseconds: nanoseconds) }

    @Test func `D15: a path that refused a train is believed for 60 s, and tried again then`() {
        var paths = NarrowPaths()
        var wasEmpty = [paths.isEmpty]
        paths.insert(path(1), now: start)
        wasEmpty.append(paths.isEmpty)
        var answers = [paths.contains(path(1), now: start), paths.contains(path(1), now: after(59_999_999_999))]
        answers.append(paths.contains(path(1), now: after(60_000_000_000)))
        wasEmpty.append(paths.isEmpty)
        #expect(answers == [true, true, false])
        #expect(wasEmpty == [true, false, true])
    }

    @Test func `D15: a second refusal is believed for another 60 s, and is the same path`() {
        var paths = NarrowPaths()
        paths.insert(path(1), now: start)
        paths.insert(path(1), now: after(30_000_000_000))
        let stillNarrow = paths.contains(path(1), now: after(89_000_000_000))
        let isOver = !paths.contains(path(1), now: after(90_000_000_000))
        #expect(stillNarrow && isOver && paths.isEmpty)
    }

    @Test func `D15: a path is its remote end, wherever it is sent from`() {
        var paths = NarrowPaths()
        paths.insert(path(1), now: start)
        var elsewhere = path(1)
        elsewhere.sourceLow = 0x7f00_0001
        elsewhere.hasSource = true
        var answers = [paths.contains(elsewhere, now: start), paths.contains(path(2), now: start)]
        answers.append(paths.contains(path(1, port: 51821), now: start))
        paths.removeAll()
        answers.append(paths.contains(path(1), now: start))
        #expect(answers == [true, false, false, false])
    }

    @Test func `D15: sixteen paths are remembered; the one believed shortest makes room`() {
        var paths = NarrowPaths()
        // The third is the oldest: the others were refused later, or once more.
        for number: UInt8 in 0..<16 { paths.insert(path(number), now: after(number == 2 ? 0 : 1_000_000_000)) }
        paths.insert(path(16), now: after(2_000_000_000))
        let known = (0...16).filter { paths.contains(path($0), now: after(3_000_000_000)) }
        #expect(known == (0...16).filter { $0 != 2 })
        // Forgetting one keeps the others.
        let isOver = !paths.contains(path(0), now: after(61_000_000_000))
        let rest = (0...16).filter { paths.contains(path($0), now: after(60_999_999_999)) }
        #expect(isOver && rest == (0...16).filter { $0 != 2 && $0 != 0 })
    }
}
