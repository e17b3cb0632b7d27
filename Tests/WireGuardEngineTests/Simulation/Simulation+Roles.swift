import LinuxSystem
import WireGuardTestSupport

@testable import WireGuardEngine

/// Who of the roles runs, and for how long.
extension Simulation: InterleavingScheduler {
    /// Lets roles run until none has anything to do, or only what is held up.
    func drain() {
        while violation == nil, let (device, role) = nextRole() { run(role, of: device) }
        for device in devices { announceTimer(device) }
    }

    private func nextRole() -> (SimulatedDevice, SimulatedDevice.Role)? {
        var ready: [(SimulatedDevice, SimulatedDevice.Role)] = []
        for device in devices {
            for role in SimulatedDevice.Role.allCases
            where device.canResume(role, at: clock) || device.hasWork(for: role, at: clock) {
                ready.append((device, role))
            }
        }
        return ready.isEmpty ? nil : ready[generator.below(ready.count)]
    }

    private func run(_ role: SimulatedDevice.Role, of device: SimulatedDevice) {
        let context = device.contexts[role.rawValue]
        active = (device, context)
        if context.isSuspended {
            context.resume()
        } else {
            stepCount += 1
            context.start(step(role, of: device))
        }
        active = nil
        if context.blockedAt == nil { device.progress += 1 }
        if !context.isSuspended {
            collect(device)
            checkEndpoints(of: device)
        }
    }

    /// One batch of a loop, or one slice of control, as it is at this moment.
    private func step(_ role: SimulatedDevice.Role, of device: SimulatedDevice) -> () -> Void {
        let virtual = device.virtual
        let now = device.moment(clock)
        switch role {
        case .control:
            let order = device.orders.isEmpty ? nil : device.orders.removeFirst()
            return {
                order?(virtual, now)
                virtual.runControl(at: now)
            }
        case .transmit:
            let packets = take(&device.outgoing)
            return { virtual.runTransmit(packets, at: now.boot) }
        case .receive:
            let datagrams = take(&device.incoming)
            return { virtual.runReceive(datagrams, at: now.boot) }
        }
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
        guard let (device, context) = active else { return }
        if point == .blocked {
            context.blockedAt = device.progress
            context.suspend()
            context.blockedAt = nil
        } else if mode != .inTurn, !isFinishing, generator.oneIn(3) {
            suspensionCount += 1
            if mode == .heldUp, !isHealed, generator.oneIn(16) {
                context.heldUntil = clock + generator.next() % (generator.oneIn(8) ? 3 * Simulation.second : 50_000_000)
                queue.push(context.heldUntil, .release)
            }
            context.suspend()
        }
    }

    /// All that the roles of the device have begun comes to its end now.
    func finishSteps(of device: SimulatedDevice) {
        isFinishing = true
        while let context = device.contexts.first(where: { $0.isSuspended && $0.blockedAt != device.progress }) {
            active = (device, context)
            context.resume()
            active = nil
            if context.blockedAt == nil { device.progress += 1 }
        }
        isFinishing = false
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
        guard !device.contexts[SimulatedDevice.Role.control.rawValue].isSuspended else { return }
        let now = device.moment(clock).boot
        guard let next = device.virtual.device.nextDeadline(after: now) else { return }
        let time = max(next.nanoseconds - device.slept, clock + 1)
        guard time < announced[device.number] else { return }
        announced[device.number] = time
        queue.push(time, .timer(device: device.number))
    }
}
