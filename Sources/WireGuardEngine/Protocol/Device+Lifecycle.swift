import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel

// The interface goes up and down (checklist D12; kernel device.c `wg_open`, `wg_stop`), the machine sleeps or is
// cloned (S8), and a worker takes over from the one before.

extension Device {
    func setUp(_ up: Bool, at now: Moment) {
        guard record.pointee.isUp.load(ordering: .relaxed) != up else { return }
        record.pointee.isUp.store(up, ordering: .sequentiallyConsistent)
        for peer in peers {
            if up {
                let wantsKeepalive = peer.pointee.timers.persistentKeepaliveSeconds.load(ordering: .relaxed) != 0
                post(wantsKeepalive ? .keepalive : .flush, peer)
            } else {
                post(.purge, peer)
                peer.pointee.timers.stop()
                timers.update(peer)
                forgetSession(of: peer)
                peer.pointee.timers.forgetLastHandshakeSent()
            }
        }
        if up { resumeSessions(at: now) } else { record.pointee.handshakes.removeAll() }
        collectMail(at: now)
    }

    /// Before the machine sleeps, or after we noticed that it did: the keys must not outlive it
    /// (kernel `wg_pm_notification`).
    func forgetSessions(at now: Moment) {
        for peer in peers {
            PeerTimers.disarm(peer.pointee.timers.zeroKeys)
            forgetSession(of: peer)
            timers.update(peer)
        }
        collectMail(at: now)
    }

    /// The machine is a copy of another, or one restored: never send with these keys again, because the other may
    /// have used the same nonces (kernel `wg_vm_notification`).
    func expireSendingKeys(at now: Moment) {
        for peer in peers { expireSendingKeys(of: peer) }
        collectMail(at: now)
    }

    /// `wg_noise_expire_current_peer_keypairs`: the next packet starts a handshake at once.
    func expireSendingKeys(of peer: PeerPointer) {
        clearHandshake(of: peer)
        peer.pointee.timers.forgetLastHandshakeSent()
        peer.pointee.lock.withLock { peer.pointee.keypairs.expireSending() }
    }

    /// Handshake and keypairs, all wiped.
    func forgetSession(of peer: PeerPointer) {
        clearHandshake(of: peer)
        let displaced = peer.pointee.lock.withLock { peer.pointee.keypairs.clear() }
        retire(displaced)
        peer.pointee.row.pointee.hadSession.store(0, ordering: .relaxed)
    }

    func clearHandshake(of peer: PeerPointer) {
        if let index = peer.pointee.handshake.localIndex { record.pointee.indices.remove(index) }
        peer.pointee.handshake.localIndex = nil
        peer.pointee.handshake.pending = nil
    }

    /// The configuration of an earlier life is complete again: what was left of peers that are no longer configured
    /// goes, and the others are called as soon as the interface is up.
    func finishRestore(at now: Moment) {
        survivors.finishRestore()
        guard record.pointee.isUp.load(ordering: .relaxed) else { return }
        resumeSessions(at: now)
        collectMail(at: now)
    }

    /// Whoever had a session with an earlier worker is called at once, so that traffic is back before its next packet.
    private func resumeSessions(at now: Moment) {
        for peer in peers where peer.pointee.row.pointee.hadSession.exchange(0, ordering: .relaxed) != 0 {
            wakes.formUnion(record.pointee.requestHandshake(peer, now.boot))
        }
    }

    func post(_ work: PeerMail.Work, _ peer: PeerPointer) { wakes.formUnion(record.pointee.post(work, peer)) }
}
