import Glibc
import LinuxSystem

/// One piece of work on the path of a packet.
struct Stage {
    let name: String
    /// Units (packets, handshake steps, …) of one run.
    let unitsPerRun: Int
    /// Makes everything that is needed, and gives what is to be repeated.
    let prepare: () -> () -> Void
}

func runStages(_ arguments: [String]) {
    let stages = cipherStages() + datagramStages() + segmentStages() + lookupStages() + handshakeStages()
    if arguments.count == 3, arguments[0] == "count", let units = Int(arguments[2]) {
        guard let stage = stages.first(where: { $0.name == arguments[1] }) else {
            print("no stage \(arguments[1])")
            exit(77)
        }
        let run = stage.prepare()
        for _ in 0..<(units / stage.unitsPerRun) { run() }
        return
    }
    for stage in stages {
        let name = stage.name + String(repeating: " ", count: max(1, 36 - stage.name.count))
        print("\(name)\(hundredths(bestNanoseconds(stage)))")
    }
}

/// The best of sixty samples of about half a millisecond of this thread's CPU time.
private func bestNanoseconds(_ stage: Stage) -> Double {
    let run = stage.prepare()
    let first = clockNanoseconds(CLOCK_THREAD_CPUTIME_ID)
    run()
    let once = max(1, clockNanoseconds(CLOCK_THREAD_CPUTIME_ID) - first)
    let repeats = Int(max(1, 500_000 / once))
    var best = UInt64.max
    for _ in 0..<60 {
        let start = clockNanoseconds(CLOCK_THREAD_CPUTIME_ID)
        for _ in 0..<repeats { run() }
        best = min(best, clockNanoseconds(CLOCK_THREAD_CPUTIME_ID) - start)
    }
    return Double(best) / Double(repeats * stage.unitsPerRun)
}

private func hundredths(_ value: Double) -> String {
    let scaled = Int((value * 100).rounded())
    return "\(scaled / 100).\(scaled % 100 < 10 ? "0" : "")\(scaled % 100) ns"
}
