import Synchronization

/// The three keypairs a peer may have at a time (checklist S1, S2; kernel noise.c `add_new_keypair`,
/// `wg_noise_received_with_keypair`). They change under the peer's lock; tx and rx read them without.
struct KeypairSlots: ~Copyable {
    let current = Atomic<KeypairPointer?>(nil)
    let previous = Atomic<KeypairPointer?>(nil)
    /// Received but not yet sent on: the responder's, until the initiator has shown that it has the key, too.
    let next = Atomic<KeypairPointer?>(nil)

    /// Up to three keypairs that lost their slot.
    struct Displaced {
        var first: KeypairPointer?
        var second: KeypairPointer?
        var third: KeypairPointer?
    }

    /// Control, under the lock: puts a new session in its slot.
    func install(_ keypair: KeypairPointer) -> Displaced {
        var displaced = Displaced()
        Interleaving.point(.publish)
        if keypair.pointee.isInitiator {
            displaced.first = previous.load(ordering: .relaxed)
            if let unconfirmed = next.load(ordering: .relaxed) {
                displaced.second = current.load(ordering: .relaxed)
                next.store(nil, ordering: .relaxed)
                previous.store(unconfirmed, ordering: .releasing)
            } else {
                previous.store(current.load(ordering: .relaxed), ordering: .releasing)
            }
            Interleaving.point(.publish)
            current.store(keypair, ordering: .releasing)
        } else {
            displaced.first = next.load(ordering: .relaxed)
            displaced.second = previous.load(ordering: .relaxed)
            next.store(keypair, ordering: .releasing)
            Interleaving.point(.publish)
            previous.store(nil, ordering: .relaxed)
        }
        return displaced
    }

    @inline(__always)
    func isUnconfirmed(_ keypair: KeypairPointer) -> Bool { next.load(ordering: .relaxed) == keypair }

    /// rx, under the lock: the first authenticated packet on `next` makes it current. False when control was
    /// faster and took it away.
    func confirm(_ keypair: KeypairPointer) -> Bool {
        guard next.load(ordering: .relaxed) == keypair else { return false }
        // Nothing loses its slot: while one waits for this, `install` has left `previous` empty.
        previous.store(current.load(ordering: .relaxed), ordering: .releasing)
        Interleaving.point(.publish)
        current.store(keypair, ordering: .releasing)
        Interleaving.point(.publish)
        next.store(nil, ordering: .relaxed)
        return true
    }

    /// Control, under the lock: no session is left. `next` goes first, so that rx cannot confirm it meanwhile.
    func clear() -> Displaced {
        var displaced = Displaced()
        displaced.first = next.exchange(nil, ordering: .acquiringAndReleasing)
        Interleaving.point(.publish)
        displaced.second = previous.exchange(nil, ordering: .acquiringAndReleasing)
        Interleaving.point(.publish)
        displaced.third = current.exchange(nil, ordering: .acquiringAndReleasing)
        return displaced
    }

    /// Control, under the lock: what we may send with ends, what we may receive with goes on (checklist S7).
    func expireSending() {
        next.load(ordering: .relaxed)?.pointee.maySend.store(false, ordering: .releasing)
        Interleaving.point(.publish)
        current.load(ordering: .relaxed)?.pointee.maySend.store(false, ordering: .releasing)
    }
}
