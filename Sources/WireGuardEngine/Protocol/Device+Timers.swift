import LinuxSystem
import Synchronization

// What happens when a timer expires (checklist R1 to R8; kernel timers.c).

extension Device {
    func expireTimers(at now: Moment) {
        rateLimiter.collect(at: now.boot)
        while let peer = timers.due(at: now.boot) {
            expireTimers(of: peer, at: now)
            timers.update(peer)
        }
        collectMail(at: now)
    }

    private func expireTimers(of peer: PeerPointer, at now: Moment) {
        if PeerTimers.expire(peer.pointee.timers.retransmitHandshake, now.boot) { retransmitHandshake(peer, at: now) }
        if PeerTimers.expire(peer.pointee.timers.sendKeepalive, now.boot) { sendKeepalive(peer, at: now) }
        if PeerTimers.expire(peer.pointee.timers.newHandshake, now.boot) {
            // They stopped answering: perhaps it is the address we send from.
            peer.pointee.clearSource()
            initiate(peer, at: now)
        }
        if PeerTimers.expire(peer.pointee.timers.zeroKeys, now.boot) {
            observe(peer, .forgotKeys)
            forgetSession(of: peer)
        }
        if PeerTimers.expire(peer.pointee.timers.persistentKeepalive, now.boot),
            peer.pointee.timers.persistentKeepaliveSeconds.load(ordering: .relaxed) != 0
        {
            post(.keepalive, peer)
        }
    }

    private func retransmitHandshake(_ peer: PeerPointer, at now: Moment) {
        let attempts = peer.pointee.timers.handshakeAttempts.load(ordering: .relaxed)
        if attempts > ProtocolLimits.maximumTimerHandshakes {
            observe(peer, .gaveUp)
            PeerTimers.disarm(peer.pointee.timers.sendKeepalive)
            post(.purge, peer)
            if !PeerTimers.isPending(peer.pointee.timers.zeroKeys), record.pointee.mayArm(peer) {
                armZeroKeys(peer, at: now)
            }
        } else {
            peer.pointee.timers.handshakeAttempts.store(attempts + 1, ordering: .relaxed)
            peer.pointee.clearSource()
            sendInitiation(to: peer, at: now)
        }
    }

    private func sendKeepalive(_ peer: PeerPointer, at now: Moment) {
        post(.keepalive, peer)
        if peer.pointee.timers.needAnotherKeepalive.exchange(false, ordering: .relaxed) {
            wakes.formUnion(record.pointee.armSendKeepalive(peer, now.boot))
        }
    }

    /// Not a retry: a fresh series of attempts (checklist R4).
    private func initiate(_ peer: PeerPointer, at now: Moment) {
        peer.pointee.timers.handshakeAttempts.store(0, ordering: .relaxed)
        sendInitiation(to: peer, at: now)
    }
}
