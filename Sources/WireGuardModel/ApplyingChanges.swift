import IPAddressing
import WireGuardCrypto

// What a set operation does to a device, as the kernel's driver does it (netlink.c, checklist A1, A4, A5, A6).
//
// This is the reference for every backend: the tests hold `difference(from:to:)` and the engine against it, and
// Tunnels predicts with it what a device will look like. Prefixes are looked up by owner, so that 2,000 peers
// with 130,000 prefixes take one pass over the change and one over the device, whatever moves between whom.

extension DeviceConfiguration {
    /// The device after `change`. Never fails: what the kernel ignores is ignored.
    ///
    /// The order is fixed (A4): mark, port, removal of all peers, private key, then the peers one by one. A peer
    /// with the device's own public key disappears or is not added (A5, S7); an unknown peer is not made by
    /// `remove` or `updateOnly`; a prefix has one owner in the whole device (A1).
    public func applying(_ change: DeviceChange) -> DeviceConfiguration {
        var result = self
        result.firewallMark = change.firewallMark ?? firewallMark
        result.listenPort = change.listenPort ?? listenPort
        var table = PeerTable(change.replacePeers ? [] : peers)
        if let key = change.privateKey {
            result.privateKey = key.key
            if let own = key.key?.publicKey { table.remove(own) }
        }
        // One scalar multiplication, and only when a peer is added at all.
        var ownKey: PublicKey??
        for peer in change.peers {
            if !table.holds(peer.publicKey) {
                if peer.remove || peer.updateOnly { continue }
                let own = ownKey ?? result.privateKey?.publicKey
                ownKey = .some(own)
                if peer.publicKey == own { continue }
            }
            table.apply(peer)
        }
        result.peers = table.peers
        return result
    }

    /// The state that a device has once it was told this configuration: repeated peers merged, each prefix with
    /// its last owner, no peer that is the device itself.
    public var normalised: DeviceConfiguration { DeviceConfiguration().applying(DeviceChange(settingAll: self)) }
}

/// Peers by key, prefixes by owner.
private struct PeerTable {
    private var slots: [PeerConfiguration?] = []
    private var slotOfKey: [PublicKey: Int] = [:]
    /// The truth about prefixes; a slot's own list may hold some that have moved away since.
    private var owner: [IPPrefix: Int] = [:]

    init(_ peers: [PeerConfiguration]) {
        slots.reserveCapacity(peers.count)
        slotOfKey.reserveCapacity(peers.count)
        owner.reserveCapacity(peers.reduce(0) { $0 + $1.allowedIPs.count })
        for peer in peers {
            let slot = slots.count
            slots.append(peer)
            slotOfKey[peer.publicKey] = slot
            for prefix in peer.allowedIPs { owner[prefix] = slot }
        }
    }

    func holds(_ key: PublicKey) -> Bool { slotOfKey[key] != nil }

    mutating func remove(_ key: PublicKey) {
        guard let slot = slotOfKey.removeValue(forKey: key) else { return }
        disown(slot)
        slots[slot] = nil
    }

    private mutating func disown(_ slot: Int) {
        for prefix in slots[slot]?.allowedIPs ?? [] where owner[prefix] == slot { owner[prefix] = nil }
        slots[slot]?.allowedIPs = []
    }

    mutating func apply(_ change: PeerChange) {
        if change.remove { return remove(change.publicKey) }
        let slot: Int
        if let known = slotOfKey[change.publicKey] {
            slot = known
        } else {
            slot = slots.count
            slots.append(PeerConfiguration(publicKey: change.publicKey))
            slotOfKey[change.publicKey] = slot
        }
        if let key = change.presharedKey { slots[slot]?.presharedKey = key.key }
        if let endpoint = change.endpoint { slots[slot]?.endpoint = endpoint }
        if let seconds = change.persistentKeepaliveSeconds { slots[slot]?.persistentKeepaliveSeconds = seconds }
        if change.replaceAllowedIPs { disown(slot) }
        for allowedIP in change.allowedIPs {
            switch allowedIP {
            case .add(let prefix):
                if owner.updateValue(slot, forKey: prefix) != slot { slots[slot]?.allowedIPs.append(prefix) }
            case .remove(let prefix):
                if owner[prefix] == slot { owner[prefix] = nil }
            }
        }
    }

    /// The living peers in order, each with the prefixes it still owns, each prefix once.
    var peers: [PeerConfiguration] {
        var owner = owner
        var result: [PeerConfiguration] = []
        result.reserveCapacity(slotOfKey.count)
        for (slot, entry) in slots.enumerated() {
            guard var peer = entry else { continue }
            peer.allowedIPs.removeAll { prefix in
                guard owner[prefix] == slot else { return true }
                owner[prefix] = nil
                return false
            }
            result.append(peer)
        }
        return result
    }
}
