import LinuxSystem
import Synchronization
import WireGuardCrypto

/// The sending half of the transport, owned by tx.
///
/// Per batch: `device.loops.wakesUp(.transmit)` after epoll; for each packet from the TUN `destination`; for each
/// run of packets to one peer `reserve`, then seal and send, then `sent`; or `stage` when there is no key. Then
/// `takeMail` and what it asks for; then pass the boundary, and write the eventfds that `takeWakes` names.
/// Pointers to peers and keypairs are good until the boundary.
struct Transmitter: ~Copyable {
    let device: DeviceRecordPointer
    private var pool = StagingPool()
    private var jitter: JitterSource
    private var wakes: Wakes = []

    init(device: DeviceRecordPointer, jitterSeed: UInt64) {
        self.device = device
        jitter = JitterSource(seed: jitterSeed)
    }

    /// Which threads to wake after this batch; nobody, afterwards.
    mutating func takeWakes() -> Wakes {
        defer { wakes = [] }
        return wakes
    }

    enum Destination {
        case peer(PeerPointer, DatagramPath)
        /// ENOKEY: no allowed IP matches. Answer with ICMP unreachable (checklist D4).
        case noPeer
        /// EDESTADDRREQ: the peer's endpoint is not known. Answer with ICMP unreachable.
        case noEndpoint
    }

    /// Whom a validated packet is for, and over which path. Counts the errors.
    ///
    /// An interface that is down hands over no packets, so one that comes while we believe it down is ahead of the
    /// news: it is staged (`reserve` gives nil) and goes with the flush when we come up (checklist D12).
    @inline(__always)
    mutating func destination(of packet: UnsafeRawPointer, isIPv6: Bool) -> Destination {
        guard let peer = device.pointee.allowedIPs.peer(forDestinationOf: packet, isIPv6: isIPv6) else {
            device.pointee.counters.transmitErrors.wrappingAdd(1, ordering: .relaxed)
            return .noPeer
        }
        guard let path = peer.pointee.path else {
            device.pointee.counters.transmitErrors.wrappingAdd(1, ordering: .relaxed)
            return .noEndpoint
        }
        return .peer(peer, path)
    }

    /// Consecutive nonces of one key: packet `i` of the run has counter `firstCounter + i`.
    struct Reservation {
        let keypair: KeypairPointer
        let firstCounter: UInt64
        /// Receiver index for the message header.
        var remoteIndex: UInt32 { keypair.pointee.remoteIndex }
        /// 32 bytes.
        var key: UnsafeRawPointer { UnsafeRawPointer(keypair.pointee.sendKey.pointer) }
    }

    /// Nonces for `count` packets, by one atomic addition. Nil when there is no key to send with: a handshake has
    /// been asked for then, and the packets are to be staged (checklist S5). Nonces are never given back.
    mutating func reserve(_ peer: PeerPointer, count: Int, now: BootTime) -> Reservation? {
        guard device.pointee.isUp.load(ordering: .relaxed), !peer.pointee.isRemoved.load(ordering: .relaxed) else {
            return nil
        }
        if let keypair = peer.pointee.keypairs.current.load(ordering: .acquiring),
            keypair.pointee.maySend.load(ordering: .acquiring)
        {
            Interleaving.point(.reserve)
            let counter = Transmitter.reserve(keypair, count: UInt64(count), now: now)
            Interleaving.point(.reserve)
            if let counter { return Reservation(keypair: keypair, firstCounter: counter) }
            keypair.pointee.maySend.store(false, ordering: .releasing)
        }
        wakes.formUnion(device.pointee.requestHandshake(peer, now))
        return nil
    }

    /// A run that does not fit below the limit is not sent at all, not even in part.
    private static func reserve(_ keypair: KeypairPointer, count: UInt64, now: BootTime) -> UInt64? {
        guard !keypair.pointee.isOlder(than: ProtocolLimits.rejectAfterTime, at: now),
            keypair.pointee.sendCounter.load(ordering: .relaxed) < ProtocolLimits.rejectAfterMessages
        else { return nil }
        let first = keypair.pointee.sendCounter.wrappingAdd(count, ordering: .relaxed).oldValue
        let (end, overflow) = first.addingReportingOverflow(count)
        return overflow || end > ProtocolLimits.rejectAfterMessages ? nil : first
    }

    /// After a run was handed to the socket. `wireBytes` is what UDP took, headers of the messages included; `hasData`
    /// whether a packet that was no keepalive went out (checklist R1, R2, R7, D11).
    @inline(__always)
    mutating func sent(_ peer: PeerPointer, wireBytes: Int, hasData: Bool, now: BootTime) {
        var wakes = device.pointee.anyPacketTraversal(peer, now)
        device.pointee.anyPacketSent(peer)
        if wireBytes > 0 {
            let bytes = UInt64(truncatingIfNeeded: wireBytes)
            peer.pointee.row.pointee.sentBytes.wrappingAdd(bytes, ordering: .relaxed)
            let all = device.pointee.loops.pointee.sentBytes.load(ordering: .relaxed)
            device.pointee.loops.pointee.sentBytes.store(all &+ bytes, ordering: .relaxed)
        }
        if hasData && !PeerTimers.isPending(peer.pointee.timers.newHandshake) {
            wakes.formUnion(device.pointee.dataSent(peer, now, jitter: jitter.next()))
        }
        // keep_key_fresh: renew by count, and by age if we are the initiator.
        if let keypair = peer.pointee.keypairs.current.load(ordering: .acquiring),
            keypair.pointee.maySend.load(ordering: .relaxed),
            keypair.pointee.sendCounter.load(ordering: .relaxed) > ProtocolLimits.rekeyAfterMessages
                || keypair.pointee.isInitiator
                    && keypair.pointee.isOlder(than: ProtocolLimits.rekeyAfterTime, at: now)
        {
            wakes.formUnion(device.pointee.requestHandshake(peer, now))
        }
        self.wakes.formUnion(wakes)
    }

    // MARK: Staging

    /// Keeps a copy of the packet until there is a key. An empty one is a keepalive.
    mutating func stage(_ peer: PeerPointer, _ packet: UnsafeRawBufferPointer) {
        guard !peer.pointee.isRemoved.load(ordering: .relaxed) else { return }
        // Ordered before this packet came: it must not be dropped with those of before (checklist D12).
        if peer.pointee.transmitMail.pointee.takePurge() { discardStaged(peer) }
        let dropped = peer.pointee.staged.append(packet, pool: &pool)
        count(dropped: dropped)
    }

    /// The staged packet whose turn it is; after it was sealed, `unstageFirst`.
    func firstStaged(_ peer: PeerPointer) -> UnsafeRawBufferPointer? { peer.pointee.staged.first }

    mutating func unstageFirst(_ peer: PeerPointer) { peer.pointee.staged.removeFirst(&pool) }

    /// The mail of this batch, for `nextToFlush`.
    func takeMail() -> PeerMailList { device.pointee.transmitInbox.takeAll() }

    /// The next peer that has staged packets to send, as any others: `reserve` for `peer.pointee.staged.count` of
    /// them first, and leave them where they are when that gives nil. Mail that asks for less is done here.
    mutating func nextToFlush(_ mail: inout PeerMailList) -> PeerPointer? {
        while let (peer, work) = mail.next() {
            if work.contains(.purge) || peer.pointee.isRemoved.load(ordering: .relaxed) { discardStaged(peer) }
            guard device.pointee.mayArm(peer) else { continue }
            if work.contains(.keepalive) && peer.pointee.staged.isEmpty {
                stage(peer, UnsafeRawBufferPointer(start: nil, count: 0))
            }
            if !work.isDisjoint(with: [.flush, .keepalive]) && !peer.pointee.staged.isEmpty { return peer }
        }
        return nil
    }

    private func count(dropped: Int) {
        if dropped > 0 {
            device.pointee.counters.transmitDropped.wrappingAdd(UInt64(dropped), ordering: .relaxed)
        }
    }

    /// Also when tx ends: no peer may keep memory of the pool.
    mutating func discardStaged(_ peer: PeerPointer) { count(dropped: peer.pointee.staged.removeAll(&pool)) }
}
