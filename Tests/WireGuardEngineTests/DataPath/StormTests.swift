import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

/// Real threads and real sockets under everything that control may do meanwhile. What is looked for are data races,
/// memory that is used after it was freed, and a tunnel that does not come back: `Tests/run sanitize` runs it with the
/// thread sanitizer, for SWG_STORM_SECONDS (2 when unset).
@Suite(.serialized) struct StormTests {
    private static let seconds = getenv("SWG_STORM_SECONDS").flatMap { Double(String(cString: $0)) } ?? 2

    private static func change(
        _ device: ThreadedDevice, to other: ThreadedDevice, inner: String, preshared: PresharedKey? = nil,
        keepalive: UInt16 = 0
    ) -> DeviceChange {
        var peer = PeerChange(publicKey: other.privateKey.publicKey)
        peer.endpoint = Endpoint(address: .v4(IPv4Address(127, 0, 0, 1)), port: other.port.load(ordering: .relaxed))
        peer.presharedKey = preshared.map { .set($0) } ?? .remove
        peer.persistentKeepaliveSeconds = keepalive
        peer.allowedIPs = [.add(IPPrefix("\(inner)/32")!)]
        var change = DeviceChange()
        change.privateKey = .set(device.privateKey)
        change.peers = [peer]
        return change
    }

    /// Writes packets into the TUN, in bursts, and counts what comes out of it, until told to stop.
    private final class Program: @unchecked Sendable {
        let received = Atomic<Int>(0)
        private let mayRun = Atomic<Bool>(true)
        private let isOver = Atomic<Bool>(false)

        init(_ device: ThreadedDevice, from source: String, to destination: String) throws {
            let inside = device.inside
            let packets = [40, 500, 1392].map { Packet.ipv4(from: source, to: destination, payload: $0) }
            try WorkerThread.start("storm-program") { [self] in
                var buffer = [UInt8](repeating: 0, count: 65536)
                while mayRun.load(ordering: .relaxed) {
                    for index in 0..<24 {
                        let packet = packets[index % packets.count]
                        _ = write(inside, packet, packet.count)
                    }
                    while read(inside, &buffer, buffer.count) > 0 { received.wrappingAdd(1, ordering: .relaxed) }
                    usleep(500)
                }
                isOver.store(true, ordering: .releasing)
            }
        }

        func stop() {
            mayRun.store(false, ordering: .relaxed)
            while !isOver.load(ordering: .acquiring) { usleep(1000) }
        }
    }

    @Test
    func `set, remove, rekey, down, up and new sockets under traffic: no race, and the tunnel comes back`() throws {
        let (a, b) = (try ThreadedDevice(), try ThreadedDevice())
        let sides = [(a, b, "10.0.0.2"), (b, a, "10.0.0.1")]
        for (device, other, inner) in sides {
            let change = StormTests.change(device, to: other, inner: inner)
            device.orderAndWait {
                try? $0.apply(change, at: .now)
                $0.setUp(true, at: .now)
            }
        }
        let programs = [
            try Program(a, from: "10.0.0.1", to: "10.0.0.2"), try Program(b, from: "10.0.0.2", to: "10.0.0.1"),
        ]
        var generator = SeededGenerator(seed: 15)
        // A first initiation may get lost in it; the next one goes out after five seconds.
        let start = BootTime.now
        let end = start.advanced(byNanoseconds: UInt64(StormTests.seconds * 1e9))
        let lastEnd = start.advanced(byNanoseconds: 25_000_000_000)
        func someCame() -> Bool { programs.allSatisfy { $0.received.load(ordering: .relaxed) > 0 } }
        var orders = 0
        while BootTime.now < end || !someCame() && BootTime.now < lastEnd {
            let (device, other, inner) = sides[generator.below(2)]
            disturb(device, other, inner, &generator)
            orders += 1
            usleep(UInt32(generator.below(20_000)))
        }
        for (device, other, inner) in sides {
            let change = StormTests.change(device, to: other, inner: inner, keepalive: 1)
            device.orderAndWait {
                $0.setUp(true, at: .now)
                // A handshake of the storm may just have used up the five seconds.
                $0.expireSendingKeys(at: .now)
                try? $0.apply(change, at: .now)
            }
        }
        let before = programs.map { $0.received.load(ordering: .relaxed) }
        let limit = BootTime.now.advanced(byNanoseconds: 25_000_000_000)
        func isBack() -> Bool {
            zip(programs, before).allSatisfy { $0.received.load(ordering: .relaxed) > $1 }
        }
        while !isBack() && BootTime.now < limit { usleep(10_000) }
        #expect(isBack(), "no packet came through after the storm")
        for program in programs { program.stop() }
        for (device, _, _) in sides { device.orderAndWait { $0.setUp(false, at: .now) } }
        print("storm: \(orders) orders, \(before) packets meanwhile")
        #expect(before.allSatisfy { $0 > 0 })
    }

    private func disturb(
        _ device: ThreadedDevice, _ other: ThreadedDevice, _ inner: String, _ generator: inout SeededGenerator
    ) {
        let key = other.privateKey.publicKey
        let whole = StormTests.change(device, to: other, inner: inner)
        switch generator.below(8) {
        case 0:
            device.order { device in
                var removal = DeviceChange()
                removal.replacePeers = true
                try? device.apply(removal, at: .now)
                try? device.apply(whole, at: .now)
            }
        case 1: device.order { $0.expireSendingKeys(at: .now) }
        case 2:
            device.order { $0.setUp(false, at: .now) }
            usleep(UInt32(generator.below(5_000)))
            device.order { $0.setUp(true, at: .now) }
        case 3:
            let preshared = generator.presharedKey()
            for (device, other, inner) in [
                (device, other, inner), (other, device, inner == "10.0.0.2" ? "10.0.0.1" : "10.0.0.2"),
            ] {
                let change = StormTests.change(device, to: other, inner: inner, preshared: preshared)
                device.order { try? $0.apply(change, at: .now) }
            }
        case 4:
            device.orderAndWait { control in
                // Another port: the other side hears of it by what comes from there.
                try? device.openSockets(port: 0)
                control.clearSources()
            }
        case 5:
            // Many allowed IPs come and go, and take the trie through all its shapes.
            let prefixes = (0..<64).map { _ in
                IPPrefix(
                    "10.\(generator.below(4)).\(generator.below(8)).\(generator.below(256))/\(20 + generator.below(13))"
                )!
            }
            device.order { control in
                var peer = PeerChange(publicKey: key)
                peer.allowedIPs = prefixes.map { .add($0) }
                var change = DeviceChange()
                change.peers = [peer]
                try? control.apply(change, at: .now)
                change.peers[0].allowedIPs = prefixes.map { .remove($0) }
                try? control.apply(change, at: .now)
                try? control.apply(whole, at: .now)
            }
        case 6: device.order { $0.forgetSessions(at: .now) }
        default:
            // A crowd of strangers that never answer.
            let strangers = (0..<8).map { _ in generator.privateKey().publicKey }
            device.order { control in
                var change = DeviceChange()
                change.peers = strangers.map {
                    var peer = PeerChange(publicKey: $0)
                    peer.endpoint = Endpoint(address: .v4(IPv4Address(127, 0, 0, 1)), port: 9)
                    peer.persistentKeepaliveSeconds = 1
                    return peer
                }
                try? control.apply(change, at: .now)
                for index in change.peers.indices { change.peers[index].remove = true }
                try? control.apply(change, at: .now)
            }
        }
    }
}
