import LinuxSystem
import Synchronization

/// The five timers of a peer (checklist R1 to R7; kernel timers.c):
///
/// - `retransmitHandshake`: no answer to an initiation for 5 s and jitter;
/// - `sendKeepalive`: something was received, and nothing sent for 10 s since;
/// - `newHandshake`: something was sent, and nothing received for 15 s and jitter since;
/// - `zeroKeys`: no new session for 540 s;
/// - `persistentKeepalive`: nothing went either way for as long as the user wants.
///
/// Theory of operation. A timer is one word, its deadline; zero is "not pending". Any thread arms and disarms
/// with one store. Control alone lets them expire: it looks at a peer at `nextLook`, and takes an expired deadline
/// away by compare-and-exchange, so that a packet that postpones it at the same moment wins. Control is woken
/// only by a deadline *earlier* than its next look: in steady traffic, where deadlines are only taken away and
/// put later, nobody is woken. The price is at most one look per timer too many after traffic ends.
///
/// Lost wake-ups: who arms stores the deadline and then reads `nextLook`; control stores `nextLook` and then
/// reads the deadlines. Both are sequentially consistent, so at least one sees the other.
struct PeerTimers: ~Copyable {
    typealias Deadline = Atomic<UInt64>

    let retransmitHandshake = Deadline(0)
    let sendKeepalive = Deadline(0)
    let newHandshake = Deadline(0)
    let zeroKeys = Deadline(0)
    let persistentKeepalive = Deadline(0)

    /// When control looks at this peer next; `.max` for never. Control writes it.
    let nextLook = Atomic<UInt64>(.max)

    let needAnotherKeepalive = Atomic<Bool>(false)
    /// TIMER_HANDSHAKE_ATTEMPTS so far.
    let handshakeAttempts = Atomic<UInt32>(0)
    let sentLastMinuteHandshake = Atomic<Bool>(false)
    /// 0 is off.
    let persistentKeepaliveSeconds = Atomic<UInt32>(0)
    /// last_sent_handshake + REKEY_TIMEOUT: before that no further initiation is sent (checklist R4). 0 for "at once".
    let nextInitiation = Atomic<UInt64>(0)

    /// True when control has to be told.
    @inline(__always)
    static func arm(_ deadline: borrowing Deadline, _ time: BootTime, nextLook: borrowing Atomic<UInt64>) -> Bool {
        let nanoseconds = max(time.nanoseconds, 1)
        let before = deadline.load(ordering: .relaxed)
        Interleaving.point(.publish)
        // Postponing what control has in view needs no word to it, unless it takes the old deadline just now.
        if before != 0 && before <= nanoseconds
            && deadline.compareExchange(expected: before, desired: nanoseconds, ordering: .relaxed).exchanged
        {
            return false
        }
        deadline.store(nanoseconds, ordering: .sequentiallyConsistent)
        Interleaving.point(.publish)
        return nextLook.load(ordering: .sequentiallyConsistent) > nanoseconds
    }

    @inline(__always)
    static func disarm(_ deadline: borrowing Deadline) {
        Interleaving.point(.publish)
        if deadline.load(ordering: .relaxed) != 0 { deadline.store(0, ordering: .relaxed) }
    }

    /// Control: whether the deadline has come; it is not pending any more then.
    static func expire(_ deadline: borrowing Deadline, _ now: BootTime) -> Bool {
        let time = deadline.load(ordering: .sequentiallyConsistent)
        guard time != 0 && time <= now.nanoseconds else { return false }
        Interleaving.point(.publish)
        return deadline.compareExchange(expected: time, desired: 0, ordering: .sequentiallyConsistent).exchanged
    }

    static func isPending(_ deadline: borrowing Deadline) -> Bool { deadline.load(ordering: .relaxed) != 0 }

    /// The earliest deadline, `.max` when none is pending.
    var earliest: UInt64 {
        var earliest = UInt64.max
        func consider(_ time: UInt64) { if time != 0 && time < earliest { earliest = time } }
        consider(retransmitHandshake.load(ordering: .sequentiallyConsistent))
        consider(sendKeepalive.load(ordering: .sequentiallyConsistent))
        consider(newHandshake.load(ordering: .sequentiallyConsistent))
        consider(zeroKeys.load(ordering: .sequentiallyConsistent))
        consider(persistentKeepalive.load(ordering: .sequentiallyConsistent))
        return earliest
    }

    /// Interface down, or the peer is removed: nothing expires any more.
    func stop() {
        PeerTimers.disarm(retransmitHandshake)
        PeerTimers.disarm(sendKeepalive)
        PeerTimers.disarm(newHandshake)
        PeerTimers.disarm(zeroKeys)
        PeerTimers.disarm(persistentKeepalive)
    }

    /// Whether an initiation may be sent now. A clock that went backward does not block for longer than the
    /// limit itself (checklist R9).
    @inline(__always)
    func mayInitiate(at now: BootTime) -> Bool {
        let next = nextInitiation.load(ordering: .relaxed)
        return next <= now.nanoseconds || next > now.advanced(byNanoseconds: ProtocolLimits.rekeyTimeout).nanoseconds
    }

    /// An initiation or a response was sent.
    func handshakeSent(at now: BootTime) {
        nextInitiation.store(now.advanced(byNanoseconds: ProtocolLimits.rekeyTimeout).nanoseconds, ordering: .relaxed)
    }

    /// The next initiation may be sent at once.
    func forgetLastHandshakeSent() { nextInitiation.store(0, ordering: .relaxed) }
}
