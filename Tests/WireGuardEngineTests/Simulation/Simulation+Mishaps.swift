import LinuxSystem
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

/// What happens to devices and network. What control does about it is an order: it takes its time, and tx and rx meet
/// it half done.
extension Simulation {
    func mishap() {
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
        device.addresses.insert(device.virtual.address)
    }

    private func sleep(_ device: SimulatedDevice) {
        device.slept += randomTime(400)
        device.orders.append { [unowned device] virtual, now in
            for key in device.tables.keys {
                device.tables[key]?.jumped(to: now.boot.nanoseconds)
                device.tables[key]?.forgotSessions()
            }
            virtual.device.forgetSessions(at: now)
            virtual.takeOutgoing()
        }
    }

    /// Its worker is killed, wherever it stands, and another takes over.
    private func restart(_ device: SimulatedDevice) {
        let now = device.moment(clock)
        let configuration = wholeConfiguration(of: device)
        let successor = device.virtual.killed(random: SimulatedDevice.random(&generator))
        // What the old one would still do is done where nobody sees it: its stacks come to their end.
        finishSteps(of: device)
        device.virtual = successor
        for key in device.tables.keys { device.tables[key]?.restarted(now.boot.nanoseconds) }
        device.incoming = []
        device.orders = []
        device.isUp = true
        successor.apply(configuration, at: now)
        successor.device.setUp(true, at: now)
        successor.device.finishRestore(at: now)
        successor.takeOutgoing()
    }

    func setUp(_ device: SimulatedDevice, _ up: Bool) {
        device.isUp = up
        if !up {
            device.incoming = []
            device.outgoing = []
        }
        device.orders.append { [unowned device] virtual, now in
            if !up { for key in device.tables.keys { device.tables[key]?.wentDown() } }
            virtual.device.setUp(up, at: now)
            virtual.takeOutgoing()
        }
    }

    private func reconfigure(_ device: SimulatedDevice) {
        let others = devices.filter { device.configuration[$0.virtual.publicKey] != nil }
        guard !others.isEmpty else { return }
        let other = others[generator.below(others.count)]
        switch generator.below(4) {
        case 0:
            device.orders.append { [unowned device] virtual, now in
                for key in device.tables.keys { device.tables[key]?.expiredSending() }
                virtual.device.expireSendingKeys(at: now)
            }
        case 1: removeAndAdd(other, to: device)
        case 2: changePresharedKey(device, other)
        default: changeKeepalive(of: other, at: device)
        }
    }

    private func removeAndAdd(_ other: SimulatedDevice, to device: SimulatedDevice) {
        let key = other.virtual.publicKey
        device.orders.append { [unowned self, unowned device, unowned other] virtual, now in
            guard let peer = device.configuration[key] else { return }
            var removal = PeerChange(publicKey: key)
            removal.remove = true
            var change = DeviceChange()
            change.peers = [removal, peer]
            invariants.forgotPeer(device.number, other.number)
            if device.tables[key] != nil { device.tables[key] = table(for: peer) }
            virtual.apply(change, at: now)
        }
    }

    /// At both ends; sessions go on, and handshakes that are under way fail.
    private func changePresharedKey(_ one: SimulatedDevice, _ other: SimulatedDevice) {
        let preshared = generator.presharedKey()
        for (device, key) in [(one, other.virtual.publicKey), (other, one.virtual.publicKey)] {
            device.configuration[key]?.presharedKey = .set(preshared)
            var peer = PeerChange(publicKey: key)
            peer.presharedKey = .set(preshared)
            var change = DeviceChange()
            change.peers = [peer]
            device.orders.append { virtual, now in virtual.apply(change, at: now) }
        }
    }

    private func changeKeepalive(of other: SimulatedDevice, at device: SimulatedDevice) {
        let key = other.virtual.publicKey
        let seconds = generator.oneIn(2) ? 0 : UInt16(1 + generator.below(30))
        device.configuration[key]?.persistentKeepaliveSeconds = seconds
        var peer = PeerChange(publicKey: key)
        peer.persistentKeepaliveSeconds = seconds
        var change = DeviceChange()
        change.peers = [peer]
        device.orders.append { [unowned device] virtual, now in
            device.tables[key]?.persistentSeconds = UInt64(seconds)
            device.tables[key]?.keepaliveChanged()
            virtual.apply(change, at: now)
        }
    }
}
