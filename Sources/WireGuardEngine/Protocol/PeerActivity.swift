import LinuxSystem
import Synchronization

// What packets do to the timers, in the kernel's words (timers.c, send.c). Called by tx, rx and control alike;
// each answers which thread has to be woken.

extension DeviceRecord {
    /// wg_timers_any_authenticated_packet_traversal: before any send, after any authenticated receive (checklist R7).
    @inline(__always)
    func anyPacketTraversal(_ peer: PeerPointer, _ now: BootTime) -> Wakes {
        let seconds = peer.pointee.timers.persistentKeepaliveSeconds.load(ordering: .relaxed)
        guard seconds != 0 && mayArm(peer) else { return [] }
        let deadline = now.advanced(byNanoseconds: UInt64(seconds) &* ProtocolLimits.nanosecondsPerSecond)
        let told = PeerTimers.arm(
            peer.pointee.timers.persistentKeepalive, deadline, nextLook: peer.pointee.timers.nextLook)
        return told ? post(.timers, peer) : []
    }

    /// wg_timers_any_authenticated_packet_sent (checklist R2).
    @inline(__always)
    func anyPacketSent(_ peer: PeerPointer) { PeerTimers.disarm(peer.pointee.timers.sendKeepalive) }

    /// wg_timers_any_authenticated_packet_received (checklist R1).
    @inline(__always)
    func anyPacketReceived(_ peer: PeerPointer) { PeerTimers.disarm(peer.pointee.timers.newHandshake) }

    /// wg_timers_data_sent (checklist R1). `jitter` is below a third of a second.
    @inline(__always)
    func dataSent(_ peer: PeerPointer, _ now: BootTime, jitter: UInt64) -> Wakes {
        guard !PeerTimers.isPending(peer.pointee.timers.newHandshake) && mayArm(peer) else { return [] }
        let deadline = now.advanced(
            byNanoseconds: ProtocolLimits.keepaliveTimeout &+ ProtocolLimits.rekeyTimeout &+ jitter)
        let told = PeerTimers.arm(peer.pointee.timers.newHandshake, deadline, nextLook: peer.pointee.timers.nextLook)
        return told ? post(.timers, peer) : []
    }

    /// wg_timers_data_received: not for keepalives, or two idle peers would answer each other for ever (checklist R2).
    @inline(__always)
    func dataReceived(_ peer: PeerPointer, _ now: BootTime) -> Wakes {
        guard isUp.load(ordering: .relaxed) else { return [] }
        if PeerTimers.isPending(peer.pointee.timers.sendKeepalive) {
            if !peer.pointee.timers.needAnotherKeepalive.load(ordering: .relaxed) {
                peer.pointee.timers.needAnotherKeepalive.store(true, ordering: .relaxed)
            }
            return []
        }
        return armSendKeepalive(peer, now)
    }

    func armSendKeepalive(_ peer: PeerPointer, _ now: BootTime) -> Wakes {
        guard mayArm(peer) else { return [] }
        let deadline = now.advanced(byNanoseconds: ProtocolLimits.keepaliveTimeout)
        let told = PeerTimers.arm(peer.pointee.timers.sendKeepalive, deadline, nextLook: peer.pointee.timers.nextLook)
        return told ? post(.timers, peer) : []
    }

    /// wg_timers_handshake_complete without the wall clock, which control notes (checklist R5).
    func handshakeComplete(_ peer: PeerPointer) {
        PeerTimers.disarm(peer.pointee.timers.retransmitHandshake)
        peer.pointee.timers.handshakeAttempts.store(0, ordering: .relaxed)
        peer.pointee.timers.sentLastMinuteHandshake.store(false, ordering: .relaxed)
    }

    /// wg_packet_send_queued_handshake_initiation, not a retry: starts a fresh series of attempts (checklist R3, R4).
    func requestHandshake(_ peer: PeerPointer, _ now: BootTime) -> Wakes {
        peer.pointee.timers.handshakeAttempts.store(0, ordering: .relaxed)
        guard peer.pointee.timers.mayInitiate(at: now), !peer.pointee.isRemoved.load(ordering: .relaxed) else {
            return []
        }
        return post(.initiate, peer)
    }

    /// Leaves work for control or tx.
    func post(_ work: PeerMail.Work, _ peer: PeerPointer) -> Wakes {
        if work.rawValue >= PeerMail.Work.flush.rawValue {
            return transmitInbox.post(work, peer.pointee.transmitMail) ? .transmit : []
        }
        return controlInbox.post(work, peer.pointee.controlMail) ? .control : []
    }
}
