import Synchronization

/// Frees what control has taken out of the shared records once neither loop can still have it in hand.
///
/// Theory of operation. tx and rx hold pointers only within one batch. Each counts its batch boundaries and says
/// when it goes to sleep in epoll; control notes both counts with everything it retires, and frees it when each
/// loop has counted on or is asleep. What is freed is wiped then: the keys of a keypair go back to their locked
/// slots. A peer takes three rounds: first nobody can find it any more; then it must be in no inbox (a loop may
/// have posted it in its last batch); then one round more for the loop that took it out.
final class Reclaimer {
    enum Retired {
        case keypair(KeypairPointer)
        case indexEntry(IndexEntryPointer)
        case indexBuckets(UnsafeMutablePointer<IndexTable.Buckets>)
        case allowedIPsNode(AllowedIPsNodePointer)
        case peer(PeerPointer, round: Int)
    }

    private struct Entry {
        var retired: Retired
        var transmitBoundary: UInt64
        var receiveBoundary: UInt64
    }

    /// Where the loops tell how far they are; as long as this object lives.
    let loops: LoopProgressPointer
    private var entries: [Entry] = []
    /// Called with a peer whose memory is about to go: control gives its row back.
    var peerIsGone: (PeerPointer) -> Void = { _ in }

    init() {
        loops = .allocate(capacity: 1)
        loops.initialize(to: LoopProgress())
    }

    /// Only when both loops have ended.
    deinit {
        for entry in entries { free(entry.retired) }
        loops.deinitialize(count: 1)
        loops.deallocate()
    }

    // MARK: Control

    /// Nobody can find it any more from here on.
    func retire(_ retired: Retired) {
        Interleaving.point(.publish)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        entries.append(
            Entry(
                retired: retired, transmitBoundary: loops.pointee.transmit.boundaries.load(ordering: .acquiring),
                receiveBoundary: loops.pointee.receive.boundaries.load(ordering: .acquiring)))
    }

    /// Something waits for the loops: call `collect` again soon.
    var isWaiting: Bool { !entries.isEmpty }

    /// Frees what both loops have let go of. Cheap when there is nothing.
    func collect() {
        if entries.isEmpty { return }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let due = entries
        entries.removeAll(keepingCapacity: true)
        for entry in due {
            guard isQuiet(entry) else {
                entries.append(entry)
                continue
            }
            guard case .peer(let peer, let round) = entry.retired, round < 3 else {
                free(entry.retired)
                continue
            }
            let inNoInbox = peer.pointee.transmitMail.pointee.isIdle && peer.pointee.controlMail.pointee.isIdle
            if round == 1 && !inNoInbox {
                entries.append(entry)
            } else {
                retire(.peer(peer, round: round + 1))
            }
        }
    }

    private func isQuiet(_ entry: Entry) -> Bool {
        (loops.pointee.transmit.isAsleep.load(ordering: .acquiring)
            || loops.pointee.transmit.boundaries.load(ordering: .acquiring) != entry.transmitBoundary)
            && (loops.pointee.receive.isAsleep.load(ordering: .acquiring)
                || loops.pointee.receive.boundaries.load(ordering: .acquiring) != entry.receiveBoundary)
    }

    private func free(_ retired: Retired) {
        switch retired {
        case .keypair(let pointer):
            pointer.deinitialize(count: 1)
            pointer.deallocate()
        case .indexEntry(let pointer):
            pointer.deinitialize(count: 1)
            pointer.deallocate()
        case .indexBuckets(let pointer):
            pointer.deinitialize(count: 1)
            pointer.deallocate()
        case .allowedIPsNode(let pointer):
            pointer.deinitialize(count: 1)
            pointer.deallocate()
        case .peer(let pointer, _):
            peerIsGone(pointer)
            Peer.free(pointer)
        }
    }
}
