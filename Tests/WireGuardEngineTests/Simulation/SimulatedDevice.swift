import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

/// One device of the simulation: its records, what waits for its three roles, its clocks and its place in the world.
final class SimulatedDevice {
    enum Role: Int, CaseIterable { case transmit, receive, control }

    /// What somebody asks control for: a UAPI client, the monitor, the kernel.
    typealias Order = (VirtualDevice, Moment) -> Void

    let number: Int
    /// The worker that runs now.
    var virtual: VirtualDevice
    /// Its address may change at any time, as behind a NAT; nobody has its endpoint in a file.
    let isMobile: Bool
    var incoming: [Datagram] = []
    var outgoing: [[UInt8]] = []
    var orders: [Order] = []
    let contexts = Role.allCases.map { _ in RoleContext() }
    /// Grows when any role of the device has got on.
    var progress = 0
    var isUp = true
    /// Where it is and was.
    var addresses: Set<Endpoint>
    /// Added to the simulation's clock: boot time grows by sleep, wall time is set by people.
    var slept: UInt64 = 0
    var wallOffset: Int64 = 0
    var tables: [PublicKey: TimerTable] = [:]
    var configuration: [PublicKey: PeerChange] = [:]

    init(number: Int, isMobile: Bool, generator: inout SeededGenerator) {
        self.number = number
        self.isMobile = isMobile
        let random = SimulatedDevice.random(&generator)
        addresses = [SimulatedDevice.address(number, port: 51820)]
        virtual = VirtualDevice(
            privateKey: generator.privateKey(), address: SimulatedDevice.address(number, port: 51820), random: random,
            survivors: VirtualDevice.makeSurvivorMemory(rows: 8))
    }

    static func random(_ generator: inout SeededGenerator) -> RandomSource {
        var own = SeededGenerator(seed: generator.next())
        return RandomSource { bytes in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: own.next()) }
        }
    }

    static func address(_ number: Int, port: UInt16) -> Endpoint {
        Endpoint(
            address: number % 2 == 0
                ? .v4(IPv4Address(192, 0, 2, UInt8(number + 1)))
                : .v6(IPv6Address(high: 0x2001_0db8 << 32, low: UInt64(number + 1))),
            port: port)
    }

    static func innerAddress(_ number: Int) -> String { "10.0.0.\(number + 1)" }

    func moment(_ clock: UInt64) -> Moment {
        let wall = Int64(1_700_000_000) + Int64(clock / 1_000_000_000) + wallOffset
        return Moment(
            boot: BootTime(nanoseconds: clock + slept),
            wall: WallTime(seconds: wall, nanoseconds: UInt32(clock % 1_000_000_000)))
    }

    /// It stands in the middle of a step, and can go on.
    func canResume(_ role: Role, at clock: UInt64) -> Bool {
        let context = contexts[role.rawValue]
        return context.isSuspended && context.heldUntil <= clock && context.blockedAt != progress
    }

    /// Somebody has told the role to run, or it has input.
    func hasWork(for role: Role, at clock: UInt64) -> Bool {
        guard !contexts[role.rawValue].isSuspended else { return false }
        switch role {
        case .transmit: return !outgoing.isEmpty || virtual.isTransmitWoken
        case .receive: return !incoming.isEmpty
        case .control:
            if virtual.isControlWoken || !orders.isEmpty { return true }
            let now = moment(clock).boot
            return virtual.device.nextDeadline(after: now).map { $0 <= now } ?? false
        }
    }
}
