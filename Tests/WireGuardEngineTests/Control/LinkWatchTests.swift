import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

/// What the watch makes of a link that is moved and renamed while it is asked about: regressions, each of which left an
/// interface that was up and an engine that did not know it.
@Suite struct LinkWatchTests {
    /// What a question is answered with, one after the other; then always the last.
    private final class Answers {
        var rest: [(LinkWatch.State, Int32)?]
        var asked = 0

        init(_ answers: [(LinkWatch.State, Int32)?]) { rest = answers }

        func next() -> (LinkWatch.State, Int32)? {
            asked += 1
            return rest.count > 1 ? rest.removeFirst() : rest[0]
        }
    }

    private static let up = LinkWatch.State(mtu: 1420, isUp: true)
    private static let down = LinkWatch.State(mtu: 1420, isUp: false)

    private func watch(_ answers: [(LinkWatch.State, Int32)?]) throws -> (LinkWatch, Answers) {
        let played = Answers(answers)
        // No TUN: whether it is gone is answered by an errno that says nothing of the kind.
        return (try LinkWatch(tun: 0) { _ in played.next() }, played)
    }

    private func state(_ news: LinkWatch.News) -> LinkWatch.State? {
        if case .linkChanged(let state) = news { state } else { nil }
    }

    @Test func `a link that is found is asked for again once its messages come, and told`() throws {
        // It went up between the first question and the filter.
        let (watch, answers) = try watch([(Self.down, 5), (Self.up, 5)])
        #expect(state(watch.refresh()) == Self.up && watch.state == Self.up)
        #expect(watch.index == 5 && answers.asked == 2)
        // Asked once more, nothing has changed.
        #expect(state(watch.refresh()) == nil && answers.asked == 3)
    }

    @Test func `a link that moves while it is asked about is asked for again`() throws {
        let (watch, answers) = try watch([nil, nil, (Self.up, 5), (Self.up, 5)])
        #expect(state(watch.refresh()) == Self.up)
        #expect(answers.asked == 4)
    }

    @Test func `one that is not found at all, or has another index each time, is heard of under any`() throws {
        let (lost, answers) = try watch([nil])
        guard case .nothing = lost.refresh() else {
            Issue.record("a link that cannot be found is not gone")
            return
        }
        #expect(lost.index == 0 && lost.state == nil && answers.asked == 4)
        let (moving, _) = try watch([(Self.down, 1), (Self.down, 2), (Self.down, 3), (Self.up, 4)])
        #expect(state(moving.refresh()) == Self.up, "what is known is told")
        #expect(moving.index == 0, "and any message is an occasion to ask again")
        // It stands still now.
        #expect(state(moving.refresh()) == nil && moving.index == 4)
    }

    @Test func `after it was found once and is then lost, all messages come again`() throws {
        let (watch, answers) = try watch([(Self.up, 5), (Self.up, 5)])
        #expect(state(watch.refresh()) == Self.up && watch.index == 5)
        answers.rest = [nil]
        guard case .nothing = watch.refresh() else {
            Issue.record("not gone, and nothing else is known")
            return
        }
        #expect(watch.index == 0)
        answers.rest = [(Self.down, 9), (Self.down, 9)]
        #expect(state(watch.refresh()) == Self.down && watch.index == 9)
    }

    /// In a namespace of its own, with a real TUN.
    @Test(.enabled(if: getuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0, "needs root and /dev/net/tun"))
    func `D19: a real TUN's MTU and state are heard of, and its end`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            guard unshare(CLONE_NEWNET) == 0 else { exit(1) }
            let tun = try TunDevice.create(name: "watched")
            try tun.setMaximumTransmissionUnit(1280)
            let watch = try LinkWatch(tun: tun.descriptor.rawValue)
            guard case .linkChanged(let first) = watch.refresh(), first == LinkWatch.State(mtu: 1280, isUp: false)
            else { exit(2) }
            func next() -> LinkWatch.State? {
                for number in watch.descriptors where (try? waitReadable(number, milliseconds: 2000)) == true {
                    for news in watch.drain() { if case .linkChanged(let state) = news { return state } }
                }
                return nil
            }
            try tun.setMaximumTransmissionUnit(1300)
            guard next() == LinkWatch.State(mtu: 1300, isUp: false) else { exit(3) }
            setUp("watched")
            guard next()?.isUp == true else { exit(4) }
            // The TUN lives until here.
            exit(tun.descriptor.rawValue >= 0 ? 0 : 5)
        }
    }
}

/// `ip link set NAME up`.
private func setUp(_ name: String) {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    var request = ifreq()
    withUnsafeMutableBytes(of: &request) { bytes in
        bytes.copyBytes(from: name.utf8)
        bytes.storeBytes(of: Int16(IFF_UP), toByteOffset: Int(IFNAMSIZ), as: Int16.self)
    }
    _ = swg_ioctl_pointer(socket, UInt(SIOCSIFFLAGS), &request)
    close(socket)
}
