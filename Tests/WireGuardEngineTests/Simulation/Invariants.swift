import WireGuardCrypto

@testable import WireGuardEngine

/// What must hold at every step, whatever the network does. The first breach is kept in `violation`.
struct Invariants {
    private(set) var violation: String?

    /// The greatest nonce used with a key, and the counters accepted with one. Keys are never forgotten here: a
    /// worker that came back with an old key would be found.
    private var lastNonce: [PublicKey: UInt64] = [:]
    private var accepted: [PublicKey: Set<UInt64>] = [:]

    struct Sent {
        var from: Int
        var to: Int
        var isDelivered = false
    }

    private(set) var packets: [Sent] = []

    mutating func violate(_ text: String) { if violation == nil { violation = text } }

    private func identity(_ key: borrowing LockedKey) -> PublicKey { PublicKey(copying: key.buffer) }

    mutating func sealed(_ keypair: KeypairPointer, _ counter: UInt64) {
        let key = identity(keypair.pointee.sendKey)
        if let last = lastNonce[key], counter <= last { violate("nonce \(counter) after \(last) with one key") }
        if counter >= ProtocolLimits.rejectAfterMessages { violate("nonce \(counter) over the limit") }
        lastNonce[key] = counter
    }

    mutating func admitted(_ keypair: KeypairPointer, _ counter: UInt64) {
        let key = identity(keypair.pointee.receiveKey)
        if !accepted[key, default: []].insert(counter).inserted { violate("counter \(counter) accepted twice") }
        // What nobody has sent cannot be authentic.
        guard let last = lastNonce[key], counter <= last else { return violate("counter \(counter) was never sent") }
    }

    /// The number of a new packet, which it carries.
    mutating func newPacket(from: Int, to: Int) -> Int {
        packets.append(Sent(from: from, to: to))
        return packets.count - 1
    }

    mutating func delivered(_ number: Int?, from: Int?, to: Int, isWhole: Bool) {
        guard let number, packets.indices.contains(number), isWhole else { return violate("a packet that nobody sent") }
        let packet = packets[number]
        if packet.to != to || packet.from != from { violate("packet \(number) for \(packet.to) came to \(to)") }
        if packet.isDelivered { violate("packet \(number) delivered twice") }
        packets[number].isDelivered = true
    }
}
