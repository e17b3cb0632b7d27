import IPAddressing
import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel

enum DeviceError: Error, Equatable {
    /// MAX_PEERS_PER_DEVICE (checklist A3); -ENOMEM in the kernel.
    case tooManyPeers
}

// Configuration, with the semantics of the kernel's netlink.c `wg_set_device` (checklist A1 to A6, S7).

extension Device {
    /// Everything of a change but the sockets, which control has rebound before. In the fixed order; what was applied
    /// before an error stays applied (checklist A4).
    func apply(_ change: DeviceChange, at now: Moment) throws(DeviceError) {
        defer { collectMail(at: now) }
        if let mark = change.firewallMark { firewallMark = mark }
        if let port = change.listenPort { listenPort = port }
        if change.firewallMark != nil || change.listenPort != nil { clearSources() }
        if change.replacePeers { removeAllPeers() }
        switch change.privateKey {
        case .set(let key): setPrivateKey(key)
        case .remove: setPrivateKey(nil)
        case nil: break
        }
        for peer in change.peers { try apply(peer) }
    }

    /// The sockets are new: no cached source address holds (checklist D8, A6).
    func clearSources() { for peer in peers { peer.pointee.clearSource() } }

    /// Of the peers whose path is in doubt; one load each for the others.
    func clearSources(where isInDoubt: (DatagramPath) -> Bool) {
        for peer in peers {
            if let path = peer.pointee.path, isInDoubt(path) { peer.pointee.clearSource() }
        }
    }

    private func setPrivateKey(_ key: PrivateKey?) {
        if key == privateKey { return }
        // With the first identity comes the chance of a handshake: what waited for one asks for it.
        let sendsStaged = privateKey == nil && key != nil && record.pointee.isUp.load(ordering: .relaxed)
        let newPublicKey = key?.publicKey
        if let newPublicKey, let ourselves = peerByKey[newPublicKey] {
            peers.removeAll { $0 == ourselves }
            remove(ourselves)
        }
        privateKey = key
        publicKey = newPublicKey
        for peer in peers {
            precomputeStaticStatic(of: peer)
            expireSendingKeys(of: peer)
            if sendsStaged { post(.flush, peer) }
        }
    }

    /// Zeros when there is no identity, or when the peer's key is of low order (checklist N6).
    private func precomputeStaticStatic(of peer: PeerPointer) {
        let output = peer.pointee.handshake.staticStatic.pointer
        guard let privateKey, privateKey.sharedSecret(with: peer.pointee.publicKey, into: output)
        else {
            peer.pointee.handshake.staticStatic.wipe()
            return
        }
    }

    private func apply(_ change: PeerChange) throws(DeviceError) {
        guard let peer = try peer(for: change) else { return }
        if change.remove {
            peers.removeAll { $0 == peer }
            remove(peer)
            return
        }
        switch change.presharedKey {
        case .set(let key): peer.pointee.handshake.presharedKey = key
        case .remove: peer.pointee.handshake.presharedKey = nil
        case nil: break
        }
        if let endpoint = change.endpoint, !survivors.keepsPath(of: peer.pointee.row) {
            peer.pointee.setPath(DatagramPath(endpoint))
        }
        if change.replaceAllowedIPs { record.pointee.allowedIPs.removeAll(of: peer) }
        for allowedIP in change.allowedIPs {
            switch allowedIP {
            case .add(let prefix): record.pointee.allowedIPs.insert(prefix, peer: peer)
            case .remove(let prefix): record.pointee.allowedIPs.remove(prefix, peer: peer)
            }
        }
        let isUp = record.pointee.isUp.load(ordering: .relaxed)
        if let seconds = change.persistentKeepaliveSeconds {
            let before = peer.pointee.timers.persistentKeepaliveSeconds.exchange(UInt32(seconds), ordering: .relaxed)
            if before == 0 && seconds != 0 && isUp { post(.keepalive, peer) }
        }
        if isUp { post(.flush, peer) }
    }

    /// The peer to change, made if need be; nil when there is nothing to do (checklist A5).
    private func peer(for change: PeerChange) throws(DeviceError) -> PeerPointer? {
        if let peer = peerByKey[change.publicKey] { return peer }
        if change.remove || change.updateOnly || change.publicKey == publicKey { return nil }
        guard peers.count < ProtocolLimits.maximumPeers, let row = survivors.claim(change.publicKey)
        else { throw .tooManyPeers }
        let peer = Peer.make(publicKey: change.publicKey, row: row)
        precomputeStaticStatic(of: peer)
        peers.append(peer)
        peerByKey[change.publicKey] = peer
        return peer
    }

    private func removeAllPeers() {
        let removed = peers
        peers = []
        for peer in removed { remove(peer) }
    }

    /// kernel peer.c `wg_peer_remove`: from now on nobody finds it. It is out of `peers` already.
    private func remove(_ peer: PeerPointer) {
        peer.pointee.isRemoved.store(true, ordering: .sequentiallyConsistent)
        peerByKey[peer.pointee.publicKey] = nil
        record.pointee.allowedIPs.removeAll(of: peer)
        peer.pointee.timers.stop()
        timers.remove(peer)
        forgetSession(of: peer)
        peer.pointee.handshake.presharedKey = nil
        newPeerTimestampFloor = max(newPeerTimestampFloor, peer.pointee.row.pointee.sentTimestamp)
        survivors.abandon(peer.pointee.row)
        post(.purge, peer)
        record.pointee.reclaimer.retire(.peer(peer, round: 1))
    }
}
