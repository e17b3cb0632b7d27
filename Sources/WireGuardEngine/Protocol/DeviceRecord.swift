import Synchronization

typealias DeviceRecordPointer = UnsafeMutablePointer<DeviceRecord>

/// What the three threads of one device share. Control makes it and frees it after the loops have ended.
struct DeviceRecord: ~Copyable {
    let isUp = Atomic<Bool>(false)
    /// Of the TUN; 0 when unknown.
    let maximumTransmissionUnit = Atomic<Int>(1420)
    /// Counts new sockets and changes of routes: what tx has learnt of sockets and paths before may not hold any more.
    let pathGeneration = Atomic<UInt64>(0)
    let allowedIPs: AllowedIPs
    /// Control writes, rx reads.
    var indices: IndexTable
    let handshakes = HandshakeQueue()
    let controlInbox = PeerInbox()
    let transmitInbox = PeerInbox()
    let reclaimer: Reclaimer
    /// The reclaimer's, for tx and rx: without its reference count.
    let loops: LoopProgressPointer
    let counters = DeviceCounters()

    private init(reclaimer: Reclaimer) {
        self.reclaimer = reclaimer
        loops = reclaimer.loops
        allowedIPs = AllowedIPs(reclaimer: reclaimer)
        indices = IndexTable(reclaimer: reclaimer)
    }

    static func make() -> DeviceRecordPointer {
        let pointer = DeviceRecordPointer.allocate(capacity: 1)
        pointer.initialize(to: DeviceRecord(reclaimer: Reclaimer()))
        return pointer
    }

    static func free(_ pointer: DeviceRecordPointer) {
        pointer.deinitialize(count: 1)
        pointer.deallocate()
    }

    /// Deadlines are only armed while the interface is up and the peer exists (kernel `mod_peer_timer`).
    @inline(__always)
    func mayArm(_ peer: PeerPointer) -> Bool {
        isUp.load(ordering: .relaxed) && !peer.pointee.isRemoved.load(ordering: .relaxed)
    }
}

/// What was lost and why: packets, not bytes. Named after the kernel's `net_device` statistics.
struct DeviceCounters: ~Copyable {
    /// Staged packets that were displaced or given up.
    let transmitDropped = Atomic<UInt64>(0)
    /// No peer, no endpoint, no IP packet.
    let transmitErrors = Atomic<UInt64>(0)
    /// From a peer that may not use that source address, or no IP packet (rx_frame_errors).
    let receiveFrameErrors = Atomic<UInt64>(0)
    /// Authentic, but not as long as its header says (rx_length_errors).
    let receiveLengthErrors = Atomic<UInt64>(0)
    /// Unknown index, wrong tag, replayed, malformed.
    let receiveDropped = Atomic<UInt64>(0)
}
