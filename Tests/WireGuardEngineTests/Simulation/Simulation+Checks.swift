import IPAddressing
import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuardEngine

extension Simulation {
    /// One in some comes with the address of another device than the sender's: nobody may let it in.
    func sendPacket(from: Int, to: Int) {
        guard devices[from].isUp else { return }
        let isSpoofed = !isHealed && devices.count > 2 && generator.oneIn(16)
        let claimed = isSpoofed ? (0..<devices.count).first { $0 != from && $0 != to } ?? to : from
        let number = invariants.newPacket(from: from, to: to, isSpoofed: isSpoofed)
        devices[from].outgoing.append(packet(number, from: claimed, to: to))
    }

    private func packet(_ number: Int, from: Int, to: Int) -> [UInt8] {
        var packet = Packet.ipv4(
            from: SimulatedDevice.innerAddress(from), to: SimulatedDevice.innerAddress(to), payload: 8 + number % 50)
        packet.withUnsafeMutableBytes { $0.storeBytes(of: UInt64(number), toByteOffset: 20, as: UInt64.self) }
        return packet
    }

    func checkDelivery(_ bytes: [UInt8], to: Int) {
        guard bytes.count >= 28 else { return invariants.violate("a packet of \(bytes.count) bytes") }
        let number = Int(exactly: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 20, as: UInt64.self) })
        let from = Int(bytes[15]) - 1
        let isWhole = number.map { bytes == packet($0, from: from, to: to) } ?? false
        invariants.delivered(number, from: from, to: to, isWhole: isWhole)
    }

    func state(_ from: Int, _ to: Int) -> String {
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
            + ", endpoint \(endpoint(of: peer).map { "\($0)" } ?? "none")"
    }

    func checkHealed(since first: Int) {
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

    /// Without the lock, which a suspended role may hold.
    private func endpoint(of peer: PeerPointer) -> Endpoint? {
        if case .path(let path) = peer.pointee.row.pointee.path.load() { path.endpoint } else { nil }
    }

    /// Every endpoint is configured, or the peer has sent something authentic from there (checklist D9).
    func checkEndpoints(of device: SimulatedDevice) {
        for other in devices {
            guard let peer = device.virtual.device.peerByKey[other.virtual.publicKey],
                let endpoint = endpoint(of: peer), !other.addresses.contains(endpoint)
            else { continue }
            invariants.violate("device \(device.number) sends to \(endpoint), where \(other.number) never was")
        }
    }

    func checkInitiation(_ device: SimulatedDevice, _ key: PublicKey) {
        guard let peer = device.virtual.device.peerByKey[key],
            let other = devices.first(where: { $0.virtual.publicKey == key })
        else { return }
        invariants.acceptedInitiation(device.number, from: other.number, peer.pointee.row.pointee.acceptedTimestamp)
    }
}
