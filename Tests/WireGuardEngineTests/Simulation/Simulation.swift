import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

/// Some devices on a hostile network under a virtual clock. Everything follows from the seed.
///
/// Theory of operation. The loop takes the next event (a datagram arrives, a program sends a packet, a timer is
/// due, something happens to a device or the network), and then lets the roles of the devices run that have work,
/// in random order, until none has. A role runs only when it has input, was woken, or its announced deadline has
/// come: a lost wake-up is found.
///
/// How the roles of one device meet depends on the seed, see `Mode`. Where they do, each stands on a stack of its own
/// (`RoleContext`); at every interleaving point of the engine (lock, publication, reservation) it may be suspended, and
/// any other role goes on, from its beginning or from where it was suspended itself.
///
/// At the end the network heals, and every pair must be able to talk within the protocol's bounds.
final class Simulation {
    enum Mode {
        /// One step after the other, and what the devices send is compared with a timer table of its own.
        case inTurn
        /// The three roles of a device meet at every point; all that was due is done before time goes on.
        case meeting
        /// The same, and a role may stand still while time goes on, datagrams arrive and its worker is killed.
        case heldUp
    }

    enum Event {
        case arrival(Datagram)
        case packet(from: Int, to: Int)
        case timer(device: Int)
        case mishap
        /// Suspended roles may go on.
        case release
    }

    static let second: UInt64 = 1_000_000_000
    /// Two of the longest silences (15.3 s until a new handshake is tried) and four retries of 5.3 s, which
    /// initiations that cross each other may cost.
    private static let healingBound = 52 * second

    let seed: UInt64
    let mode: Mode
    var generator: SeededGenerator
    var network = SimulatedNetwork()
    private(set) var devices: [SimulatedDevice] = []
    private(set) var pairs: [(Int, Int)] = []
    var queue = EventQueue<Event>()
    private(set) var clock: UInt64 = 1_000 * second
    var invariants = Invariants()
    private(set) var isHealed = false
    private var found: String?
    /// SWG_TRACE prints what each device does, for the one seed that is replayed.
    let isTraced = getenv("SWG_TRACE") != nil
    /// Who runs now; nil outside of the roles.
    var active: (device: SimulatedDevice, context: RoleContext)?
    /// Roles come to the end of their steps.
    var isFinishing = false
    var stepCount = 0
    var suspensionCount = 0
    var announced: [UInt64]

    init(seed: UInt64) {
        self.seed = seed
        mode = seed % 2 == 0 ? .inTurn : seed % 4 == 1 ? .meeting : .heldUp
        generator = SeededGenerator(seed: seed)
        let count = 2 + generator.below(3)
        announced = Array(repeating: .max, count: count)
        for number in 0..<count {
            devices.append(
                SimulatedDevice(number: number, isMobile: number > 0 && generator.oneIn(2), generator: &generator))
        }
        for first in 0..<count {
            for second in (first + 1)..<max(count, first + 1)
            where !devices[first].isMobile || !devices[second].isMobile {
                pairs.append((first, second))
            }
        }
        configure()
    }

    /// The first thing that went wrong; nil when nothing did.
    func run() -> String? {
        Interleaving.withScheduler(self) {
            let duration = generator.oneIn(10) ? 700 : 60 + generator.below(200)
            network.becomeRandom(&generator)
            let end = clock + UInt64(duration) * Simulation.second
            scheduleTraffic(until: end)
            queue.push(clock + randomTime(10), .mishap)
            run(until: end)
            heal()
            let talk = clock + Simulation.healingBound
            scheduleHealedTraffic(until: talk + 3 * Simulation.second)
            run(until: talk)
            let sentBefore = invariants.packets.count
            run(until: talk + 5 * Simulation.second)
            checkHealed(since: sentBefore)
            for device in devices { finishSteps(of: device) }
        }
        return violation
    }

    /// Latched at the first breach: what follows from it is no finding.
    var violation: String? {
        if found == nil { found = findViolation() }
        return found
    }

    private func findViolation() -> String? {
        if let violation = invariants.violation { return violation }
        for device in devices {
            for (key, table) in device.tables {
                if let violation = table.violation {
                    let peer = devices.firstIndex { $0.virtual.publicKey == key } ?? -1
                    return "device \(device.number) to \(peer): \(violation); \(state(device.number, peer))"
                }
            }
        }
        return nil
    }

    func randomTime(_ seconds: Int) -> UInt64 { generator.next() % (UInt64(seconds) * Simulation.second) + 1 }

    // MARK: The loop

    private func run(until end: UInt64) {
        drain()
        while violation == nil, let (time, event) = queue.pop(before: end) {
            clock = time
            happen(event)
            drain()
        }
        clock = max(clock, end)
        if violation == nil {
            for device in devices {
                for key in device.tables.keys { device.tables[key]?.advance(to: clock + device.slept) }
            }
        }
    }

    private func happen(_ event: Event) {
        switch event {
        case .arrival(let datagram):
            if let device = devices.first(where: { $0.virtual.address == datagram.destination }), device.isUp,
                isReachable(datagram.source, device.number)
            {
                device.incoming.append(datagram)
            }
        case .packet(let from, let to): sendPacket(from: from, to: to)
        case .timer(let device): announced[device] = .max
        case .mishap:
            guard !isHealed else { return }
            mishap()
            queue.push(clock + randomTime(30), .mishap)
        case .release: break
        }
    }

    private func isReachable(_ source: Endpoint, _ destination: Int) -> Bool {
        let sender = devices.first { $0.virtual.address.address == source.address }?.number ?? destination
        return !network.partitions.contains([min(sender, destination), max(sender, destination)])
    }

    // MARK: Healing

    private func heal() {
        isHealed = true
        network = SimulatedNetwork()
        for device in devices where !device.isUp { setUp(device, true) }
        drain()
    }
}
