import IPAddressing
import WireGuardCrypto

/// How a difference takes a prefix away from a peer that keeps others.
public enum PrefixRemoval: Sendable {
    /// One by one; the engine and kernels from 6.16 on understand it.
    case individually
    /// By replacing the peer's whole list, which every kernel understands.
    case byReplacing
}

extension DeviceChange {
    /// Everything about a device: `wg setconf`. What was there before goes, sessions included.
    public init(settingAll configuration: DeviceConfiguration) {
        self.init()
        firewallMark = configuration.firewallMark
        listenPort = configuration.listenPort
        privateKey = configuration.privateKey.map { .set($0) } ?? .remove
        replacePeers = true
        peers = configuration.peers.map { PeerChange(settingAll: $0) }
    }

    public var isEmpty: Bool { self == DeviceChange() }

    /// The smallest change that makes `new` of `old`: `wg syncconf`. Peers in both keep their sessions.
    ///
    /// A prefix that moves between peers is only added to its new owner (A1). Two things have no undoing on
    /// WireGuard's interfaces, and the difference leaves them: an endpoint that `new` does not name stays where
    /// roaming has put it, and a listening port of 0 keeps the port there is. The time is linear in peers and
    /// prefixes.
    public static func difference(
        from old: DeviceConfiguration, to new: DeviceConfiguration, removal: PrefixRemoval = .individually
    ) -> DeviceChange {
        let old = old.normalised
        let new = new.normalised
        var change = DeviceChange()
        if new.firewallMark != old.firewallMark { change.firewallMark = new.firewallMark }
        if new.listenPort != old.listenPort, new.listenPort != 0 { change.listenPort = new.listenPort }
        if new.privateKey != old.privateKey { change.privateKey = new.privateKey.map { .set($0) } ?? .remove }

        let wanted = Set(new.peers.map(\.publicKey))
        for peer in old.peers where !wanted.contains(peer.publicKey) {
            var removal = PeerChange(publicKey: peer.publicKey)
            removal.remove = true
            change.peers.append(removal)
        }
        var known: [PublicKey: PeerConfiguration] = [:]
        known.reserveCapacity(old.peers.count)
        for peer in old.peers { known[peer.publicKey] = peer }
        var newOwner: [IPPrefix: PublicKey] = [:]
        newOwner.reserveCapacity(new.peers.reduce(0) { $0 + $1.allowedIPs.count })
        for peer in new.peers { for prefix in peer.allowedIPs { newOwner[prefix] = peer.publicKey } }

        for peer in new.peers {
            guard let before = known[peer.publicKey] else {
                change.peers.append(PeerChange(settingAll: peer))
                continue
            }
            // A prefix that another peer takes over goes by itself.
            let dropped = before.allowedIPs.filter { newOwner[$0] == nil }
            let update = PeerChange.difference(from: before, to: peer, dropped: dropped, removal: removal)
            if let update { change.peers.append(update) }
        }
        return change
    }
}

extension PeerChange {
    /// Everything about a peer.
    public init(settingAll peer: PeerConfiguration) {
        self.init(publicKey: peer.publicKey)
        presharedKey = peer.presharedKey.map { .set($0) }
        endpoint = peer.endpoint
        persistentKeepaliveSeconds = peer.persistentKeepaliveSeconds
        replaceAllowedIPs = true
        allowedIPs = peer.allowedIPs.map { .add($0) }
    }

    /// Nil when nothing differs.
    fileprivate static func difference(
        from old: PeerConfiguration, to new: PeerConfiguration, dropped: [IPPrefix], removal: PrefixRemoval
    ) -> PeerChange? {
        var change = PeerChange(publicKey: new.publicKey)
        change.updateOnly = true
        if new.presharedKey != old.presharedKey {
            change.presharedKey = new.presharedKey.map { .set($0) } ?? .remove
        }
        if new.endpoint != old.endpoint { change.endpoint = new.endpoint }
        if new.persistentKeepaliveSeconds != old.persistentKeepaliveSeconds {
            change.persistentKeepaliveSeconds = new.persistentKeepaliveSeconds
        }
        if removal == .byReplacing, !dropped.isEmpty {
            change.replaceAllowedIPs = true
            change.allowedIPs = new.allowedIPs.map { .add($0) }
        } else {
            let had = Set(old.allowedIPs)
            change.allowedIPs = dropped.map { .remove($0) }
            for prefix in new.allowedIPs where !had.contains(prefix) { change.allowedIPs.append(.add(prefix)) }
        }
        var nothing = PeerChange(publicKey: new.publicKey)
        nothing.updateOnly = true
        return change == nothing ? nil : change
    }
}
