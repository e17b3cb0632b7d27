import Synchronization

/// A note to another thread that there is something to do for a peer. Each peer has one for tx and one for
/// control; it is in its inbox at most once, however often it is marked.
struct PeerMail: ~Copyable {
    struct Work: OptionSet {
        var rawValue: UInt32

        // For control:
        /// Send an initiation if the rate limit allows (kernel `wg_packet_send_queued_handshake_initiation`).
        static let initiate = Work(rawValue: 1)
        /// A timer was armed earlier than control would look.
        static let timers = Work(rawValue: 2)
        /// The first packet on a new keypair came (checklist S2): note the time.
        static let confirmed = Work(rawValue: 4)

        // For tx:
        /// Send what is staged.
        static let flush = Work(rawValue: 8)
        /// Send what is staged, or an empty packet when nothing is (checklist R8).
        static let keepalive = Work(rawValue: 16)
        /// Drop what is staged.
        static let purge = Work(rawValue: 32)
        /// In the place of an order that was carried out ahead of the mail, which must not look idle in an inbox.
        fileprivate static let done = Work(rawValue: 64)
    }

    let peer: PeerPointer
    fileprivate let work = Atomic<UInt32>(0)
    fileprivate let next = Atomic<UnsafeMutablePointer<PeerMail>?>(nil)

    init(peer: PeerPointer) { self.peer = peer }

    /// Owner only: whether there is an order to drop, which is then the caller's to carry out. The mail itself may not
    /// have been taken, nor even have reached the inbox.
    func takePurge() -> Bool {
        guard Work(rawValue: work.load(ordering: .acquiring)).contains(.purge) else { return false }
        work.bitwiseOr(Work.done.rawValue, ordering: .relaxed)
        work.bitwiseAnd(~Work.purge.rawValue, ordering: .acquiring)
        return true
    }

    /// Nothing to do, and in no inbox.
    var isIdle: Bool { work.load(ordering: .acquiring) == 0 }
}

/// Where any thread leaves mail for one: a stack that is taken as a whole.
struct PeerInbox: ~Copyable {
    private let head = Atomic<UnsafeMutablePointer<PeerMail>?>(nil)

    /// True when the inbox was empty: its owner may be asleep and has to be woken.
    func post(_ work: PeerMail.Work, _ mail: UnsafeMutablePointer<PeerMail>) -> Bool {
        Interleaving.point(.publish)
        let before = mail.pointee.work.bitwiseOr(work.rawValue, ordering: .acquiringAndReleasing).oldValue
        if before != 0 { return false }
        Interleaving.point(.publish)
        var first = head.load(ordering: .relaxed)
        while true {
            mail.pointee.next.store(first, ordering: .relaxed)
            let answer = head.weakCompareExchange(
                expected: first, desired: mail, successOrdering: .releasing, failureOrdering: .relaxed)
            if answer.exchanged { return first == nil }
            first = answer.original
        }
    }

    var isEmpty: Bool { head.load(ordering: .acquiring) == nil }

    /// Owner only: takes all mail.
    func takeAll() -> PeerMailList {
        guard var newest = head.exchange(nil, ordering: .acquiring) else { return PeerMailList(oldest: nil) }
        var oldest: UnsafeMutablePointer<PeerMail>?
        while true {
            let older = newest.pointee.next.load(ordering: .relaxed)
            newest.pointee.next.store(oldest, ordering: .relaxed)
            oldest = newest
            guard let older else { break }
            newest = older
        }
        return PeerMailList(oldest: oldest)
    }
}

/// Mail taken out of an inbox, oldest first. To be read to the end.
struct PeerMailList: ~Copyable {
    fileprivate var oldest: UnsafeMutablePointer<PeerMail>?

    mutating func next() -> (peer: PeerPointer, work: PeerMail.Work)? {
        guard let mail = oldest else { return nil }
        // Once the work is taken the mail may be posted again, which overwrites `next`.
        oldest = mail.pointee.next.load(ordering: .relaxed)
        Interleaving.point(.publish)
        let work = mail.pointee.work.exchange(0, ordering: .acquiringAndReleasing)
        return (mail.pointee.peer, PeerMail.Work(rawValue: work))
    }
}
