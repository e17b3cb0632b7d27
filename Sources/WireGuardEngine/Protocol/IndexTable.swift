import Synchronization

typealias IndexEntryPointer = UnsafeMutablePointer<IndexEntry>

/// What a session index of ours stands for: a handshake in progress, whose entry becomes its keypair's in place
/// (checklist M7).
struct IndexEntry: ~Copyable {
    let index: UInt32
    let peer: PeerPointer
    /// Nil as long as the handshake is in progress.
    let keypair = Atomic<KeypairPointer?>(nil)
    fileprivate let next = Atomic<IndexEntryPointer?>(nil)

    init(index: UInt32, peer: PeerPointer) {
        self.index = index
        self.peer = peer
    }
}

/// Session index → keypair or handshake, for the whole device. Indices are uniformly random, so the lower bits
/// are as good a hash as any.
///
/// Control is the only writer; rx looks up without a lock. A removed entry keeps its link until both loops have
/// let go, so a reader on it finds its way. Growing makes a new table with new entries and publishes it whole.
struct IndexTable: ~Copyable {
    struct Buckets: ~Copyable {
        fileprivate let heads: UnsafeMutablePointer<Atomic<IndexEntryPointer?>>
        fileprivate let count: Int

        fileprivate init(count: Int) {
            self.count = count
            heads = .allocate(capacity: count)
            for index in 0..<count { (heads + index).initialize(to: Atomic(nil)) }
        }

        deinit {
            heads.deinitialize(count: count)
            heads.deallocate()
        }

        @inline(__always)
        fileprivate func head(_ index: UInt32) -> UnsafeMutablePointer<Atomic<IndexEntryPointer?>> {
            heads + Int(truncatingIfNeeded: index & UInt32(truncatingIfNeeded: count &- 1))
        }
    }

    private let buckets: Atomic<UnsafeMutablePointer<Buckets>>
    private let reclaimer: Reclaimer
    /// Handshakes in progress and keypairs.
    private(set) var entryCount = 0
    private static let initialBuckets = 16

    init(reclaimer: Reclaimer) {
        self.reclaimer = reclaimer
        buckets = Atomic(IndexTable.makeBuckets(IndexTable.initialBuckets))
    }

    /// Only when both loops have ended.
    deinit {
        let table = buckets.load(ordering: .acquiring)
        for bucket in 0..<table.pointee.count {
            while let entry = table.pointee.heads[bucket].load(ordering: .relaxed) {
                table.pointee.heads[bucket].store(entry.pointee.next.load(ordering: .relaxed), ordering: .relaxed)
                entry.deinitialize(count: 1)
                entry.deallocate()
            }
        }
        table.deinitialize(count: 1)
        table.deallocate()
    }

    /// Any thread.
    @inline(__always)
    func entry(_ index: UInt32) -> IndexEntryPointer? {
        var entry = buckets.load(ordering: .acquiring).pointee.head(index).pointee.load(ordering: .acquiring)
        while let found = entry {
            if found.pointee.index == index { return found }
            entry = found.pointee.next.load(ordering: .acquiring)
        }
        return nil
    }

    /// Control: a fresh random index for a handshake with `peer`.
    mutating func insert(_ peer: PeerPointer, random: RandomSource) -> UInt32 {
        if entryCount >= buckets.load(ordering: .relaxed).pointee.count { grow() }
        var index = random.nextUInt32()
        while entry(index) != nil { index = random.nextUInt32() }
        let new = IndexEntryPointer.allocate(capacity: 1)
        new.initialize(to: IndexEntry(index: index, peer: peer))
        link(new, into: buckets.load(ordering: .relaxed))
        entryCount += 1
        return index
    }

    /// Control: the handshake under this index has become a session. False when the index is gone.
    func replace(_ index: UInt32, with keypair: KeypairPointer) -> Bool {
        guard let entry = entry(index) else { return false }
        Interleaving.point(.publish)
        entry.pointee.keypair.store(keypair, ordering: .releasing)
        return true
    }

    /// Control: nothing is received under this index any more. Absent is fine.
    mutating func remove(_ index: UInt32) {
        let head = buckets.load(ordering: .relaxed).pointee.head(index)
        var before: IndexEntryPointer?
        var candidate = head.pointee.load(ordering: .relaxed)
        while let entry = candidate, entry.pointee.index != index {
            before = entry
            candidate = entry.pointee.next.load(ordering: .relaxed)
        }
        guard let entry = candidate else { return }
        let next = entry.pointee.next.load(ordering: .relaxed)
        Interleaving.point(.publish)
        if let before {
            before.pointee.next.store(next, ordering: .releasing)
        } else {
            head.pointee.store(next, ordering: .releasing)
        }
        entryCount -= 1
        reclaimer.retire(.indexEntry(entry))
    }

    private func link(_ entry: IndexEntryPointer, into table: UnsafeMutablePointer<Buckets>) {
        let head = table.pointee.head(entry.pointee.index)
        entry.pointee.next.store(head.pointee.load(ordering: .relaxed), ordering: .relaxed)
        Interleaving.point(.publish)
        head.pointee.store(entry, ordering: .releasing)
    }

    private func grow() {
        let old = buckets.load(ordering: .relaxed)
        let new = IndexTable.makeBuckets(old.pointee.count * 2)
        for bucket in 0..<old.pointee.count {
            var entry = old.pointee.heads[bucket].load(ordering: .relaxed)
            while let found = entry {
                let copy = IndexEntryPointer.allocate(capacity: 1)
                copy.initialize(to: IndexEntry(index: found.pointee.index, peer: found.pointee.peer))
                copy.pointee.keypair.store(found.pointee.keypair.load(ordering: .relaxed), ordering: .relaxed)
                link(copy, into: new)
                entry = found.pointee.next.load(ordering: .relaxed)
                reclaimer.retire(.indexEntry(found))
            }
        }
        buckets.store(new, ordering: .releasing)
        reclaimer.retire(.indexBuckets(old))
    }

    private static func makeBuckets(_ count: Int) -> UnsafeMutablePointer<Buckets> {
        let table = UnsafeMutablePointer<Buckets>.allocate(capacity: 1)
        table.initialize(to: Buckets(count: count))
        return table
    }
}
