import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel

/// The handshake-and-timer machine of one WireGuard device, and the owner of all its records. Control only.
///
/// Theory of operation. Time and randomness come in, messages to send and threads to wake go out; nothing here
/// makes a system call. Control calls an entry point (`apply`, `setUp`, `collectMail`, `handleHandshake`,
/// `expireTimers`), sends what `takeOutgoing` holds, writes the eventfds that `takeWakes` names, frees with `reclaim`,
/// and sleeps until `nextDeadline`. What tx and rx see changes only by publication: keypairs in their slots under
/// the peer's lock, indices and allowed IPs node by node, deadlines word by word. What is taken away is freed by
/// the `Reclaimer` when both loops have let go.
///
/// The kernel's driver is the model throughout (noise.c, send.c, receive.c, timers.c, netlink.c).
final class Device {
    let record: DeviceRecordPointer
    let survivors: SurvivorTable
    let random: RandomSource

    /// As `status` reports them; control sets them with the sockets.
    var listenPort: UInt16 = 0
    var firewallMark: UInt32 = 0

    var privateKey: PrivateKey?
    var publicKey: PublicKey?
    /// In the order they were added, as the kernel lists them.
    var peers: [PeerPointer] = []
    var peerByKey: [PublicKey: PeerPointer] = [:]

    /// The greatest TAI64N sent by this private key in this or an earlier life: to be kept (checklist T3).
    var timestampFloor: TAI64N
    /// The greatest TAI64N sent in an earlier life, or to a peer that was removed since: a peer without a row of its
    /// own starts above it, or one that comes back after the clock was set back would not be heard.
    var newPeerTimestampFloor: TAI64N

    var cookieChecker = CookieChecker()
    var rateLimiter = RateLimiter()
    var load = LoadGauge()
    var timers = TimerHeap()
    var jitter: JitterSource
    var outgoing: [OutgoingHandshake] = []
    var wakes: Wakes = []
    /// Told of handshakes as they happen; must not call back.
    var observe: (PeerPointer, DeviceEvent) -> Void = { _, _ in }

    /// `timestampFloor`: of an earlier life, or `.zero`.
    init(survivors: SurvivorTable, random: RandomSource, timestampFloor: TAI64N = .zero) {
        self.survivors = survivors
        self.random = random
        self.timestampFloor = timestampFloor
        newPeerTimestampFloor = timestampFloor
        jitter = JitterSource(seed: random.nextUInt64())
        record = DeviceRecord.make()
        record.pointee.reclaimer.peerIsGone = { [unowned survivors] in survivors.release($0.pointee.row) }
    }

    /// Only after both loops have ended. The rows stay as they are: they are for the next life.
    deinit {
        record.pointee.reclaimer.peerIsGone = { _ in }
        for peer in peers {
            let displaced = peer.pointee.keypairs.clear()
            for keypair in [displaced.first, displaced.second, displaced.third] {
                keypair?.deinitialize(count: 1)
                keypair?.deallocate()
            }
        }
        let peers = peers
        DeviceRecord.free(record)
        for peer in peers { Peer.free(peer) }
    }

    /// A private key that has sent timestamps before, maybe in another life of the engine: everything it sends is
    /// above `floor` from now on (checklist T3).
    func raiseTimestampFloor(to floor: TAI64N) {
        timestampFloor = max(timestampFloor, floor)
        newPeerTimestampFloor = max(newPeerTimestampFloor, floor)
    }

    // MARK: What comes out

    /// Messages to send, in order; none, afterwards.
    func takeOutgoing() -> [OutgoingHandshake] {
        defer { outgoing = [] }
        return outgoing
    }

    /// UDP took the message (checklist D11).
    func sent(_ message: OutgoingHandshake) {
        message.peer?.pointee.row.pointee.sentBytes.wrappingAdd(UInt64(message.byteCount), ordering: .relaxed)
    }

    /// Which loops to wake; nobody, afterwards.
    func takeWakes() -> Wakes {
        defer { wakes = [] }
        return wakes.subtracting(.control)
    }

    /// When an entry point has to be called again without being woken; nil for never.
    func nextDeadline(after now: BootTime) -> BootTime? {
        var next = timers.earliest
        func consider(_ time: BootTime?) {
            guard let time else { return }
            next = min(next ?? time, time)
        }
        consider(rateLimiter.deadline)
        if record.pointee.reclaimer.isWaiting { consider(now.advanced(byNanoseconds: Device.reclaimInterval)) }
        return next
    }

    /// How long a loop may be in a batch before control looks again whether it has let go.
    private static let reclaimInterval: UInt64 = 10_000_000

    func reclaim() { record.pointee.reclaimer.collect() }

    // MARK: Mail

    /// What tx and rx have left for control. Every entry point ends with it, so that nothing control itself has
    /// posted stays behind.
    func collectMail(at now: Moment) {
        while !record.pointee.controlInbox.isEmpty {
            var mail = record.pointee.controlInbox.takeAll()
            while let (peer, work) = mail.next() { handle(work, of: peer, at: now) }
        }
    }

    private func handle(_ work: PeerMail.Work, of peer: PeerPointer, at now: Moment) {
        if work.contains(.confirmed) { noteHandshake(peer, at: now) }
        guard !peer.pointee.isRemoved.load(ordering: .relaxed) else { return }
        if work.contains(.initiate) { sendInitiation(to: peer, at: now) }
        timers.update(peer)
    }

    /// Nobody sends or receives with it any more; its keys are wiped when both loops have let go.
    func retire(_ keypair: KeypairPointer?) {
        guard let keypair else { return }
        keypair.pointee.invalidate()
        record.pointee.indices.remove(keypair.pointee.localIndex)
        record.pointee.reclaimer.retire(.keypair(keypair))
    }

    func retire(_ displaced: KeypairSlots.Displaced) {
        retire(displaced.first)
        retire(displaced.second)
        retire(displaced.third)
    }

    func noteHandshake(_ peer: PeerPointer, at now: Moment) {
        peer.pointee.row.pointee.lastHandshake = now.wall
        peer.pointee.row.pointee.hadSession.store(1, ordering: .relaxed)
    }
}
