import LinuxSystem
import WireGuardCrypto

@testable import WireGuardEngine

/// What must hold at every step, whatever the network does. The first breach is kept in `violation`.
struct Invariants {
    private(set) var violation: String?

    /// The greatest nonce used with a key, and the counters accepted with one. Keys are never forgotten here: a
    /// worker that came back with an old key would be found.
    private var lastNonce: [PublicKey: UInt64] = [:]
    private var accepted: [PublicKey: Set<UInt64>] = [:]
    /// By device and peer.
    private var acceptedTimestamps: [[Int]: TAI64N] = [:]

    struct Sent {
        var from: Int
        var to: Int
        /// It bears the address of another device than its sender.
        var isSpoofed: Bool
        var isDelivered = false
    }

    private(set) var packets: [Sent] = []

    mutating func violate(_ text: String) { if violation == nil { violation = text } }

    private func identity(_ key: borrowing LockedKey) -> PublicKey { PublicKey(copying: key.buffer) }

    private static let wiped = PublicKey(hex: String(repeating: "0", count: 64))

    /// Checklist S2, S4, S5.
    mutating func sealed(_ keypair: KeypairPointer, _ counter: UInt64, at now: BootTime) {
        let key = identity(keypair.pointee.sendKey)
        if key == Invariants.wiped { violate("a key is used that was wiped") }
        if let last = lastNonce[key], counter <= last { violate("nonce \(counter) after \(last) with one key") }
        if counter >= ProtocolLimits.rejectAfterMessages { violate("nonce \(counter) over the limit") }
        if now.since(keypair.pointee.birth) >= 180_000_000_000 { violate("sent with a key of 180 s") }
        if !keypair.pointee.isInitiator && accepted[identity(keypair.pointee.receiveKey)] == nil {
            violate("sent with a key that the initiator has not confirmed")
        }
        lastNonce[key] = counter
    }

    /// Checklist S4, S6.
    mutating func admitted(_ keypair: KeypairPointer, _ counter: UInt64, at now: BootTime) {
        let key = identity(keypair.pointee.receiveKey)
        if !accepted[key, default: []].insert(counter).inserted { violate("counter \(counter) accepted twice") }
        if now.since(keypair.pointee.birth) >= 180_000_000_000 { violate("received with a key of 180 s") }
        // What nobody has sent cannot be authentic.
        guard let last = lastNonce[key], counter <= last else { return violate("counter \(counter) was never sent") }
    }

    /// `device` has taken an initiation of `peer` for good (checklist T1): it was none of an earlier time.
    mutating func acceptedInitiation(_ device: Int, from peer: Int, _ timestamp: TAI64N) {
        if let last = acceptedTimestamps[[device, peer]], timestamp <= last {
            violate("device \(device) took an initiation of \(peer) that is not newer than the last")
        }
        acceptedTimestamps[[device, peer]] = timestamp
    }

    /// The peer is removed, and with it what was known of its timestamps.
    mutating func forgotPeer(_ device: Int, _ peer: Int) { acceptedTimestamps[[device, peer]] = nil }

    /// The number of a new packet, which it carries.
    mutating func newPacket(from: Int, to: Int, isSpoofed: Bool) -> Int {
        packets.append(Sent(from: from, to: to, isSpoofed: isSpoofed))
        return packets.count - 1
    }

    mutating func delivered(_ number: Int?, from: Int?, to: Int, isWhole: Bool) {
        guard let number, packets.indices.contains(number), isWhole else { return violate("a packet that nobody sent") }
        let packet = packets[number]
        if packet.isSpoofed { return violate("packet \(number) of \(packet.from) entered with the address of another") }
        if packet.to != to || packet.from != from { violate("packet \(number) for \(packet.to) came to \(to)") }
        if packet.isDelivered { violate("packet \(number) delivered twice") }
        packets[number].isDelivered = true
    }
}
