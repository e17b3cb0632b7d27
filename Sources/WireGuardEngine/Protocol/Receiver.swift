import LinuxSystem
import Synchronization

/// The receiving half of the transport, owned by rx.
///
/// Per batch: `device.loops.wakesUp(.receive)` after epoll; per datagram `Message.kind`; handshake messages go to
/// `enqueueHandshake`; for a run of data messages with one receiver index `keypair`, then the cipher, which asks
/// `admit` for each message whose tag verified (checklist D20); then `mayEnter` for each opened packet, and
/// `received` once for the run. Then pass the boundary and write the eventfds that `takeWakes` names.
struct Receiver: ~Copyable {
    let device: DeviceRecordPointer
    private var wakes: Wakes = []

    init(device: DeviceRecordPointer) { self.device = device }

    /// Which threads to wake after this batch; nobody, afterwards.
    mutating func takeWakes() -> Wakes {
        defer { wakes = [] }
        return wakes
    }

    /// An initiation, a response or a cookie reply: control does the rest.
    mutating func enqueueHandshake(_ datagram: UnsafeRawBufferPointer, path: DatagramPath) {
        guard device.pointee.isUp.load(ordering: .relaxed) else { return }
        if case .queuedFirst = device.pointee.handshakes.put(datagram, path: path) { wakes.insert(.control) }
    }

    /// The keypair that opens messages to this index; nil when there is none or it may not be used any more
    /// (checklist S4). `keypair.pointee.receiveKey.pointer` is its key.
    @inline(__always)
    func keypair(_ index: UInt32, now: BootTime) -> KeypairPointer? {
        guard let keypair = device.pointee.indices.entry(index)?.pointee.keypair.load(ordering: .acquiring),
            keypair.pointee.mayReceive.load(ordering: .acquiring),
            !keypair.pointee.peer.pointee.isRemoved.load(ordering: .relaxed)
        else { return nil }
        Interleaving.point(.publish)
        if keypair.pointee.isOlder(than: ProtocolLimits.rejectAfterTime, at: now)
            || keypair.pointee.window.greatest >= ProtocolLimits.rejectAfterMessages
        {
            keypair.pointee.mayReceive.store(false, ordering: .releasing)
            return nil
        }
        return keypair
    }

    /// For a message whose tag verified: whether its counter is new (checklist S6). In order of arrival.
    @inline(__always)
    func admit(_ keypair: KeypairPointer, _ counter: UInt64) -> Bool { keypair.pointee.window.admit(counter) }

    enum Entry {
        /// An IP packet of this many bytes, the padding cut off, from an address that is the peer's.
        case packet(byteCount: Int, isIPv6: Bool)
        /// An empty one.
        case keepalive
        /// Counted as an error; it stays outside.
        case refused
    }

    /// Whether an opened text may go to the TUN (checklist D2, D3).
    @inline(__always)
    func mayEnter(_ text: UnsafeRawBufferPointer, from peer: PeerPointer) -> Entry {
        guard text.count > 0, let bytes = text.baseAddress else { return .keepalive }
        guard let packet = InnerPacket(bytes, text.count) else {
            device.pointee.counters.receiveLengthErrors.wrappingAdd(1, ordering: .relaxed)
            return .refused
        }
        guard device.pointee.allowedIPs.peer(forSourceOf: bytes, isIPv6: packet.isIPv6) == peer else {
            device.pointee.counters.receiveFrameErrors.wrappingAdd(1, ordering: .relaxed)
            return .refused
        }
        return .packet(byteCount: packet.totalBytes, isIPv6: packet.isIPv6)
    }

    /// A run of authentic messages with one key: the peer roams to where they came from (D9), and a new session is
    /// confirmed (S2). Before any packet of it enters the TUN, as in the kernel.
    @inline(__always)
    mutating func arrived(_ keypair: KeypairPointer, path: DatagramPath) {
        let peer = keypair.pointee.peer
        peer.pointee.roam(to: path)
        Interleaving.point(.publish)
        if peer.pointee.keypairs.isUnconfirmed(keypair) { confirm(keypair) }
    }

    /// What that run means for timers and counters, afterwards.
    ///
    /// `hasData`: a text that was not empty was among them, good or bad. `countedBytes`: whole messages with their
    /// 32 bytes of overhead, of keepalives and packets that entered, not of refused ones (D11).
    @inline(__always)
    mutating func received(_ keypair: KeypairPointer, hasData: Bool, countedBytes: Int, now: BootTime) {
        let peer = keypair.pointee.peer
        keepKeyFresh(peer, now)
        device.pointee.anyPacketReceived(peer)
        var wakes = device.pointee.anyPacketTraversal(peer, now)
        if hasData { wakes.formUnion(device.pointee.dataReceived(peer, now)) }
        self.wakes.formUnion(wakes)
        peer.pointee.row.pointee.receivedBytes.wrappingAdd(UInt64(truncatingIfNeeded: countedBytes), ordering: .relaxed)
    }

    /// wg_noise_received_with_keypair: the first packet on `next` completes the handshake.
    private mutating func confirm(_ keypair: KeypairPointer) {
        let peer = keypair.pointee.peer
        guard peer.pointee.lock.withLock({ peer.pointee.keypairs.confirm(keypair) }) else { return }
        device.pointee.handshakeComplete(peer)
        wakes.formUnion(device.pointee.post(.confirmed, peer))
        wakes.formUnion(device.pointee.post(.flush, peer))
    }

    /// An initiator that only receives renews in the last minute, once.
    @inline(__always)
    private mutating func keepKeyFresh(_ peer: PeerPointer, _ now: BootTime) {
        guard let keypair = peer.pointee.keypairs.current.load(ordering: .acquiring), keypair.pointee.isInitiator,
            keypair.pointee.isOlder(than: ProtocolLimits.lastMinuteRekeyAge, at: now),
            keypair.pointee.maySend.load(ordering: .relaxed),
            !peer.pointee.timers.sentLastMinuteHandshake.load(ordering: .relaxed)
        else { return }
        peer.pointee.timers.sentLastMinuteHandshake.store(true, ordering: .relaxed)
        wakes.formUnion(device.pointee.requestHandshake(peer, now))
    }
}
