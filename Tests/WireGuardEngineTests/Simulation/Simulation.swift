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
/// come: a lost wake-up is found. With an odd seed roles also interrupt each other: at each interleaving point of the
/// engine (lock, publication, reservation) another role of the same device may run a whole step. With an even seed
/// they do not, and what the devices send is compared with a timer table of its own.
///
/// At the end the network heals, and every pair must be able to talk within the protocol's bounds.
final class Simulation: InterleavingScheduler {
    private enum Event {
        case arrival(Datagram)
        case packet(from: Int, to: Int)
        case timer(device: Int)
        case mishap
    }

    private static let second: UInt64 = 1_000_000_000
    /// Two of the longest silences (15.3 s until a new handshake is tried) and four retries of 5.3 s, which
    /// initiations that cross each other may cost.
    private static let healingBound = 52 * second

    let seed: UInt64
    private var generator: SeededGenerator
    private var network = SimulatedNetwork()
    private var devices: [SimulatedDevice] = []
    private var pairs: [(Int, Int)] = []
    private var queue = EventQueue<Event>()
    private var clock: UInt64 = 1_000 * second
    private var invariants = Invariants()
    private let isInterleaved: Bool
    private var isHealed = false
    private var found: String?
    /// SWG_TRACE prints what each device does, for the one seed that is replayed.
    private let isTraced = getenv("SWG_TRACE") != nil
    private var active: SimulatedDevice?
    private(set) var stepCount = 0
    private var announced: [UInt64]

    init(seed: UInt64) {
        self.seed = seed
        isInterleaved = seed % 2 == 1
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
        }
        return violation
    }

    /// Latched at the first breach: what follows from it is no finding.
    private var violation: String? {
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

    private func randomTime(_ seconds: Int) -> UInt64 { generator.next() % (UInt64(seconds) * Simulation.second) + 1 }

    // MARK: Setting up

    private func configure() {
        for device in devices { observe(device) }
        for (first, second) in pairs {
            let psk = generator.oneIn(3) ? generator.presharedKey() : nil
            for (mine, theirs) in [(devices[first], devices[second]), (devices[second], devices[first])] {
                var peer = PeerChange(publicKey: theirs.virtual.publicKey)
                peer.endpoint = theirs.isMobile ? nil : theirs.virtual.address
                peer.presharedKey = psk.map { .set($0) }
                peer.persistentKeepaliveSeconds = generator.oneIn(3) ? UInt16(5 + generator.below(30)) : 0
                peer.allowedIPs = [.add(IPPrefix(SimulatedDevice.innerAddress(theirs.number) + "/32")!)]
                mine.configuration[theirs.virtual.publicKey] = peer
                if !isInterleaved { mine.tables[theirs.virtual.publicKey] = table(for: peer) }
            }
        }
        for device in devices {
            let now = device.moment(clock)
            device.virtual.apply(wholeConfiguration(of: device), at: now)
            device.virtual.device.setUp(true, at: now)
            device.virtual.device.finishRestore(at: now)
            device.virtual.takeOutgoing()
        }
    }

    private func table(for peer: PeerChange) -> TimerTable {
        TimerTable(persistentSeconds: UInt64(peer.persistentKeepaliveSeconds ?? 0))
    }

    private func wholeConfiguration(of device: SimulatedDevice) -> DeviceChange {
        var change = DeviceChange()
        change.privateKey = .set(device.virtual.privateKey)
        // In the order of the devices: a dictionary's order is not the seed's.
        change.peers = devices.compactMap { device.configuration[$0.virtual.publicKey] }
        return change
    }

    private func observe(_ device: SimulatedDevice) {
        device.virtual.observe = { [unowned self, unowned device] event in
            let now = clock + device.slept
            if isTraced { print(Double(now) / 1e9, device.number, event) }
            switch event {
            case .seals(let keypair, let counter): invariants.sealed(keypair, counter)
            case .sent(let key, let hasData): device.tables[key]?.sent(hasData: hasData, now)
            case .hadNoKey(let key): device.tables[key]?.hadNoKey(now)
            case .admitted(let keypair, let counter, let hasData):
                invariants.admitted(keypair, counter)
                device.tables[keypair.pointee.peer.pointee.publicKey]?
                    .admitted(index: keypair.pointee.localIndex, hasData: hasData, now)
            case .handshake(let key, let event): device.tables[key]?.handshake(event, now)
            }
        }
    }

    private func scheduleTraffic(until end: UInt64) {
        for (first, second) in pairs {
            for (from, to) in [(first, second), (second, first)] {
                var time = clock + randomTime(5)
                while time < end {
                    // Bursts, pauses, and long silences.
                    for _ in 0..<(1 + generator.below(3)) {
                        queue.push(time + randomTime(1) / 100, .packet(from: from, to: to))
                    }
                    time += randomTime(generator.oneIn(8) ? 180 : 12)
                }
            }
        }
    }

    private func scheduleHealedTraffic(until end: UInt64) {
        for (first, second) in pairs {
            for (from, to) in [(first, second), (second, first)] {
                var time = clock + randomTime(1)
                while time < end {
                    queue.push(time, .packet(from: from, to: to))
                    time += Simulation.second
                }
            }
        }
    }

    // MARK: The loop

    private func run(until end: UInt64) {
        drain()
        while violation == nil, let (time, event) = queue.pop(before: end) {
            clock = time
            happen(event)
            drain()
        }
        clock = max(clock, end)
        if !isInterleaved && violation == nil {
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
        case .packet(let from, let to):
            guard devices[from].isUp else { return }
            let number = invariants.newPacket(from: from, to: to)
            devices[from].outgoing.append(packet(number, from: from, to: to))
        case .timer(let device): announced[device] = .max
        case .mishap:
            guard !isHealed else { return }
            mishap()
            queue.push(clock + randomTime(30), .mishap)
        }
    }

    private func isReachable(_ source: Endpoint, _ destination: Int) -> Bool {
        let sender = devices.first { $0.virtual.address.address == source.address }?.number ?? destination
        return !network.partitions.contains([min(sender, destination), max(sender, destination)])
    }

    /// Lets roles run until none has anything to do.
    private func drain() {
        while violation == nil {
            let ready = devices.filter { device in
                SimulatedDevice.Role.allCases.contains { device.hasWork(for: $0, at: clock) }
            }
            guard !ready.isEmpty else { break }
            let device = ready[generator.below(ready.count)]
            active = device
            step(device)
            active = nil
            collect(device)
        }
        for device in devices { announceTimer(device) }
    }

    private func step(_ device: SimulatedDevice) {
        let roles = SimulatedDevice.Role.allCases.filter { device.hasWork(for: $0, at: clock) }
        guard !roles.isEmpty else { return }
        let role = roles[generator.below(roles.count)]
        stepCount += 1
        device.running.insert(role)
        let now = device.moment(clock)
        switch role {
        case .control: device.virtual.runControl(at: now)
        case .transmit: device.virtual.runTransmit(take(&device.outgoing), at: now.boot)
        case .receive: device.virtual.runReceive(take(&device.incoming), at: now.boot)
        }
        device.running.remove(role)
    }

    /// A batch is some of what waits.
    private func take<Item>(_ items: inout [Item]) -> [Item] {
        let count = min(items.count, 1 + generator.below(4))
        let batch = Array(items.prefix(count))
        items.removeFirst(count)
        return batch
    }

    /// A place where another thread may come in between.
    func reached(_ point: Interleaving.Point) {
        guard isInterleaved, let device = active, generator.oneIn(3) else { return }
        step(device)
    }

    private func collect(_ device: SimulatedDevice) {
        let datagrams = device.virtual.outbox
        device.virtual.outbox = []
        for datagram in datagrams {
            for copy in network.transmit(datagram, &generator) {
                queue.push(clock + copy.delay, .arrival(copy.datagram))
            }
        }
        let packets = device.virtual.delivered
        device.virtual.delivered = []
        for packet in packets { checkDelivery(packet, to: device.number) }
    }

    private func announceTimer(_ device: SimulatedDevice) {
        let now = device.moment(clock).boot
        guard let next = device.virtual.device.nextDeadline(after: now) else { return }
        let time = max(next.nanoseconds - device.slept, clock + 1)
        guard time < announced[device.number] else { return }
        announced[device.number] = time
        queue.push(time, .timer(device: device.number))
    }

    // MARK: Packets

    private func packet(_ number: Int, from: Int, to: Int) -> [UInt8] {
        var packet = Packet.ipv4(
            from: SimulatedDevice.innerAddress(from), to: SimulatedDevice.innerAddress(to), payload: 8 + number % 50)
        packet.withUnsafeMutableBytes { $0.storeBytes(of: UInt64(number), toByteOffset: 20, as: UInt64.self) }
        return packet
    }

    private func checkDelivery(_ bytes: [UInt8], to: Int) {
        guard bytes.count >= 28 else { return invariants.violate("a packet of \(bytes.count) bytes") }
        let number = Int(exactly: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 20, as: UInt64.self) })
        let from = Int(bytes[15]) - 1
        let isWhole = number.map { bytes == packet($0, from: from, to: to) } ?? false
        invariants.delivered(number, from: from, to: to, isWhole: isWhole)
    }

    // MARK: What happens to devices and network

    private func mishap() {
        let device = devices[generator.below(devices.count)]
        switch generator.below(12) {
        case 0, 1: network.becomeRandom(&generator)
        case 2:
            let pair = pairs[generator.below(pairs.count)]
            network.partitions.formSymmetricDifference([[pair.0, pair.1]])
        case 3: network.partitions = []
        case 4, 5: rebind(device)
        case 6: device.wallOffset += Int64(generator.below(20_000)) - 10_000
        case 7: sleep(device)
        case 8, 9: restart(device)
        case 10: setUp(device, !device.isUp)
        default: reconfigure(device)
        }
    }

    private func rebind(_ device: SimulatedDevice) {
        guard device.isMobile else { return }
        device.virtual.address = SimulatedDevice.address(device.number, port: UInt16(1 + generator.below(65000)))
    }

    private func sleep(_ device: SimulatedDevice) {
        device.slept += randomTime(400)
        let now = device.moment(clock)
        for key in device.tables.keys {
            device.tables[key]?.jumped(to: now.boot.nanoseconds)
            device.tables[key]?.forgotSessions()
        }
        device.virtual.device.forgetSessions(at: now)
        device.virtual.takeOutgoing()
    }

    private func restart(_ device: SimulatedDevice) {
        let now = device.moment(clock)
        let configuration = wholeConfiguration(of: device)
        for key in device.tables.keys { device.tables[key]?.restarted(now.boot.nanoseconds) }
        let random = SimulatedDevice.random(&generator)
        device.virtual.restartWorker(random: random, configure: { try? $0.apply(configuration, at: now) }, at: now)
        device.incoming = []
        if !device.isUp { setUp(device, true) }
    }

    private func setUp(_ device: SimulatedDevice, _ up: Bool) {
        device.isUp = up
        if !up {
            device.incoming = []
            device.outgoing = []
            for key in device.tables.keys { device.tables[key]?.wentDown() }
        }
        device.virtual.device.setUp(up, at: device.moment(clock))
        device.virtual.takeOutgoing()
    }

    private func reconfigure(_ device: SimulatedDevice) {
        let now = device.moment(clock)
        let others = devices.filter { device.configuration[$0.virtual.publicKey] != nil }
        guard !others.isEmpty else { return }
        let other = others[generator.below(others.count)].virtual.publicKey
        guard var peer = device.configuration[other] else { return }
        var change = DeviceChange()
        switch generator.below(3) {
        case 0:
            for key in device.tables.keys { device.tables[key]?.expiredSending() }
            device.virtual.device.expireSendingKeys(at: now)
        case 1:
            var removal = PeerChange(publicKey: other)
            removal.remove = true
            change.peers = [removal, peer]
            if !isInterleaved { device.tables[other] = table(for: peer) }
        default:
            peer.persistentKeepaliveSeconds = generator.oneIn(2) ? 0 : UInt16(1 + generator.below(30))
            device.configuration[other] = peer
            device.tables[other]?.persistentSeconds = UInt64(peer.persistentKeepaliveSeconds ?? 0)
            device.tables[other]?.keepaliveChanged()
            var setting = PeerChange(publicKey: other)
            setting.persistentKeepaliveSeconds = peer.persistentKeepaliveSeconds
            change.peers = [setting]
        }
        device.virtual.apply(change, at: now)
    }

    // MARK: Healing

    private func heal() {
        isHealed = true
        network = .perfect
        for device in devices where !device.isUp { setUp(device, true) }
        drain()
        for device in devices { collect(device) }
    }

    private func state(_ from: Int, _ to: Int) -> String {
        let device = devices[from]
        guard let peer = device.virtual.device.peerByKey[devices[to].virtual.publicKey] else { return "no such peer" }
        let sessions = [("current", peer.current), ("previous", peer.previous), ("next", peer.next)]
            .compactMap { name, keypair in
                keypair.map { "\(name) \($0.pointee.localIndex)→\($0.pointee.remoteIndex) maySend \($0.maySend)" }
            }
        let now = device.moment(clock).boot.nanoseconds
        let timers = [("retransmit", peer.deadline(.retransmitHandshake)), ("new", peer.deadline(.newHandshake))]
            .filter { $0.1 != 0 }.map { "\($0.0) in \((Double($0.1) - Double(now)) / 1e9) s" }
        let look = peer.pointee.timers.nextLook.load(ordering: .relaxed)
        return "\(sessions), \(peer.stagedCount) staged, \(timers), next look "
            + (look == .max ? "never" : "in \((Double(look) - Double(now)) / 1e9) s")
            + ", endpoint \(peer.pointee.path.map { "\($0.endpoint)" } ?? "none")"
    }

    private func checkHealed(since first: Int) {
        guard violation == nil else { return }
        var delivered: Set<[Int]> = []
        for packet in invariants.packets[first...] where packet.isDelivered {
            delivered.insert([packet.from, packet.to])
        }
        for (one, other) in pairs {
            for pair in [[one, other], [other, one]] where !delivered.contains(pair) {
                invariants.violate(
                    "no session from \(pair[0]) to \(pair[1]) after the network healed: \(state(pair[0], pair[1])), "
                        + "the other way \(state(pair[1], pair[0]))")
            }
        }
    }
}
