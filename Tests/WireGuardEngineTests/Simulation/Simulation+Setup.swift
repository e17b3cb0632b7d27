import IPAddressing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

/// The devices as they are at first, what is observed of them, and what programs want to send.
extension Simulation {
    func configure() {
        for device in devices {
            observe(device)
            network.publicKeys[device.virtual.address] = device.virtual.publicKey
        }
        for (first, second) in pairs {
            let psk = generator.oneIn(3) ? generator.presharedKey() : nil
            for (mine, theirs) in [(devices[first], devices[second]), (devices[second], devices[first])] {
                var peer = PeerChange(publicKey: theirs.virtual.publicKey)
                peer.endpoint = theirs.isMobile ? nil : theirs.virtual.address
                peer.presharedKey = psk.map { .set($0) }
                peer.persistentKeepaliveSeconds = generator.oneIn(3) ? UInt16(5 + generator.below(30)) : 0
                peer.allowedIPs = [.add(IPPrefix(SimulatedDevice.innerAddress(theirs.number) + "/32")!)]
                mine.configuration[theirs.virtual.publicKey] = peer
                if mode != .heldUp { mine.tables[theirs.virtual.publicKey] = table(for: peer) }
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

    func table(for peer: PeerChange) -> TimerTable {
        TimerTable(persistentSeconds: UInt64(peer.persistentKeepaliveSeconds ?? 0))
    }

    func wholeConfiguration(of device: SimulatedDevice) -> DeviceChange {
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
            case .seals(let keypair, let counter, let time): invariants.sealed(keypair, counter, at: time)
            case .sent(let key, let hasData): device.tables[key]?.sent(hasData: hasData, now)
            case .hadNoKey(let key): device.tables[key]?.hadNoKey(now)
            case .admitted(let keypair, let counter, let hasData, let time):
                invariants.admitted(keypair, counter, at: time)
                device.tables[keypair.pointee.peer.pointee.publicKey]?
                    .admitted(index: keypair.pointee.localIndex, hasData: hasData, now)
            case .handshake(let key, let event):
                if event == .receivedInitiation { checkInitiation(device, key) }
                device.tables[key]?.handshake(event, now)
            }
        }
    }

    func scheduleTraffic(until end: UInt64) {
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

    func scheduleHealedTraffic(until end: UInt64) {
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
}
