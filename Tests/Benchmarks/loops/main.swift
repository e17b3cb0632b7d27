// loops ROUNDS KIND…    sends ROUNDS bursts of each kind of packet through two tunnel ends, in both directions
//
// The real loops on real TUN devices (named loopa and loopb, in this network namespace) and UDP sockets. What is to be
// put into a TUN is written to standard output, one line `INTERFACE KIND COUNT` for Tests/lib/inject, which does it; the
// next burst is asked for when the last one was authenticated at the other end. Tests/conformance/loop-costs.sh runs
// it under callgrind with N and 2N rounds.
import Glibc
import LinuxSystem

/// Kinds that Tests/lib/inject knows: packets put in at once, and datagrams that each of them becomes.
let kinds: [String: (packets: Int, datagrams: Int)] = [
    "small4": (32, 1), "small6": (32, 1), "tcp4": (1, 44), "tcp6": (1, 44), "udp4": (1, 44),
]

func say(_ text: String) {
    _ = text.utf8.withContiguousStorageIfAvailable { write(1, $0.baseAddress, $0.count) }
}

let arguments = CommandLine.arguments
guard arguments.count >= 3, let rounds = Int(arguments[1]) else { exit(2) }
do {
    let ends = [try TestedDevice(name: "loopa"), try TestedDevice(name: "loopb")]
    ends[0].connect(to: ends[1])
    ends[1].connect(to: ends[0])
    say("loopa up 0\nloopb up 0\n")

    /// Asks for one burst and waits until it has arrived; a busy machine may lose some, then it is asked for once more.
    func exchange(from source: Int, _ kind: String, packets: Int, datagrams: Int) {
        let target = ends[1 - source]
        for _ in 0..<4 {
            let wanted = target.authenticated + UInt64(packets * datagrams)
            say("\(source == 0 ? "loopa" : "loopb") \(kind) \(packets)\n")
            let start = BootTime.now
            while BootTime.now.since(start) < 10_000_000_000 {
                for end in ends { end.runControl() }
                if target.authenticated >= wanted { return }
                usleep(300)
            }
        }
        exit(1)
    }

    // The handshake, and everything that is done only once.
    for source in [0, 1, 0, 1] { exchange(from: source, "small4", packets: 1, datagrams: 1) }
    for _ in 0..<rounds {
        for kind in arguments[2...] {
            guard let shape = kinds[kind] else { exit(2) }
            for source in [0, 1] { exchange(from: source, kind, packets: shape.packets, datagrams: shape.datagrams) }
        }
    }
    _exit(0)
}
