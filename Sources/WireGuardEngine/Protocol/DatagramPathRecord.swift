import Synchronization

/// A peer's `DatagramPath`, which one thread at a time writes and all read without a lock: a sequence lock of
/// words.
///
/// It lies in memory that survives the worker. A worker killed in the middle of `store` leaves the sequence odd;
/// `recovered` then has nothing, and the peer starts with its configured endpoint.
struct DatagramPathRecord: ~Copyable {
    enum Reading {
        case path(DatagramPath)
        /// No endpoint is known.
        case none
        /// A writer is at work: read again under the peer's lock.
        case busy
    }

    private let sequence = Atomic<UInt64>(0)
    private let head = Atomic<UInt64>(0)
    private let remoteHigh = Atomic<UInt64>(0)
    private let remoteLow = Atomic<UInt64>(0)
    private let source = Atomic<UInt64>(0)
    private let sourceHigh = Atomic<UInt64>(0)
    private let sourceLow = Atomic<UInt64>(0)

    private static let known: UInt64 = 1
    private static let isIPv6: UInt64 = 2
    private static let hasSource: UInt64 = 4

    @inline(__always)
    func load() -> Reading {
        let before = sequence.load(ordering: .acquiring)
        guard before & 1 == 0 else { return .busy }
        let path = assemble()
        Interleaving.point(.publish)
        atomicMemoryFence(ordering: .acquiring)
        guard sequence.load(ordering: .relaxed) == before else { return .busy }
        return if let path { .path(path) } else { .none }
    }

    /// Only under the peer's lock.
    func store(_ path: DatagramPath?) {
        let before = sequence.load(ordering: .relaxed)
        sequence.store(before | 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        Interleaving.point(.publish)
        if let path {
            var bits = DatagramPathRecord.known
            if path.isIPv6 { bits |= DatagramPathRecord.isIPv6 }
            if path.hasSource { bits |= DatagramPathRecord.hasSource }
            head.store(bits | UInt64(path.port) &<< 16 | UInt64(path.scopeID) &<< 32, ordering: .relaxed)
            remoteHigh.store(path.remoteHigh, ordering: .relaxed)
            remoteLow.store(path.remoteLow, ordering: .relaxed)
            Interleaving.point(.publish)
            source.store(UInt64(path.sourceInterface), ordering: .relaxed)
            sourceHigh.store(path.sourceHigh, ordering: .relaxed)
            sourceLow.store(path.sourceLow, ordering: .relaxed)
        } else {
            head.store(0, ordering: .relaxed)
        }
        sequence.store((before | 1) &+ 1, ordering: .releasing)
    }

    /// For a new worker, which does not trust the memory: the remote end, if it was written completely and can be
    /// one at all. The source is not taken over: the address may be gone.
    var recovered: DatagramPath? {
        guard case .path(var path) = load(), path.port != 0 else { return nil }
        path.clearSource()
        return path
    }

    private func assemble() -> DatagramPath? {
        let head = head.load(ordering: .relaxed)
        guard head & DatagramPathRecord.known != 0 else { return nil }
        return DatagramPath(
            remoteHigh: remoteHigh.load(ordering: .relaxed), remoteLow: remoteLow.load(ordering: .relaxed),
            sourceHigh: sourceHigh.load(ordering: .relaxed), sourceLow: sourceLow.load(ordering: .relaxed),
            scopeID: UInt32(truncatingIfNeeded: head &>> 32),
            sourceInterface: UInt32(truncatingIfNeeded: source.load(ordering: .relaxed)),
            port: UInt16(truncatingIfNeeded: head &>> 16), isIPv6: head & DatagramPathRecord.isIPv6 != 0,
            hasSource: head & DatagramPathRecord.hasSource != 0)
    }
}

extension DatagramPath {
    /// From its parts; the other initialisers read an endpoint or a socket address.
    init(
        remoteHigh: UInt64, remoteLow: UInt64, sourceHigh: UInt64, sourceLow: UInt64, scopeID: UInt32,
        sourceInterface: UInt32, port: UInt16, isIPv6: Bool, hasSource: Bool
    ) {
        self.remoteHigh = remoteHigh
        self.remoteLow = remoteLow
        self.sourceHigh = sourceHigh
        self.sourceLow = sourceLow
        self.scopeID = scopeID
        self.sourceInterface = sourceInterface
        self.port = port
        self.isIPv6 = isIPv6
        self.hasSource = hasSource
    }
}
