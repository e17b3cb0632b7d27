import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// The tx thread: from the TUN to the UDP sockets, run to completion (DESIGN §5).
///
/// Sleeps in epoll on the TUN and on an eventfd, or looks at them for a moment (`BusyPolling`); awake, it reads
/// super-packets until the TUN is dry or the batch is full, cuts them, seals and sends, then looks after its mail
/// (staged packets, keepalives). What the namespace sends is a stranger's input: what is malformed is dropped. Ends the
/// process when the TUN is gone.
struct TransmitLoop: ~Copyable {
    private static var packetBytes: Int { 65536 }
    /// Before the packet in the read buffer; the virtio header ends where the packet begins.
    private static var headroom: Int { 64 }
    /// What epoll says of the eventfd; 0 is the TUN.
    private static var wakeToken: UInt64 { 1 }

    private let tun: Int32
    private let virtioBytes: Int
    private let poll: EventPoll
    private let wake: EventCounter
    private let device: DeviceRecordPointer
    private let wakeControl: Int32
    private let onTunGone: @Sendable () -> Void
    private let readBuffer: PageRegion
    private var transmitter: Transmitter
    private var batch: OutgoingBatch
    private var unreachable: UnreachableMessages
    private var pathGeneration: UInt64 = 0
    private var polling: BusyPolling

    /// - Parameter mayPoll: it may keep a processor busy for a moment, where that makes an exchange faster.
    init(
        tun: Int32, virtioBytes: Int, device: DeviceRecordPointer, resources: consuming Resources,
        wakeControl: Int32, jitterSeed: UInt64, mayPoll: Bool = false, onTunGone: @escaping @Sendable () -> Void
    ) {
        self.tun = tun
        self.virtioBytes = virtioBytes
        self.device = device
        self.wakeControl = wakeControl
        self.onTunGone = onTunGone
        poll = resources.poll
        wake = resources.wake
        readBuffer = resources.readBuffer
        batch = resources.batch
        transmitter = Transmitter(device: device, jitterSeed: jitterSeed)
        unreachable = UnreachableMessages(tun: tun, virtioBytes: virtioBytes)
        polling = BusyPolling(isPossible: mayPoll, loops: device.pointee.loops)
    }

    /// What has to be asked of the kernel beforehand.
    struct Resources: ~Copyable {
        let poll: EventPoll
        let wake: EventCounter
        let readBuffer: PageRegion
        let batch: OutgoingBatch

        init(tun: Int32, sender: consuming DatagramSender) throws(SystemError) {
            let poll = try EventPoll()
            let wake = try EventCounter()
            try poll.add(tun, .readable, token: 0)
            try poll.add(wake.descriptor.rawValue, .readable, token: TransmitLoop.wakeToken)
            let readBuffer = try PageRegion(byteCount: TransmitLoop.headroom + TransmitLoop.packetBytes + 4096)
            let arena = try PageRegion(byteCount: OutgoingBatch.arenaBytes)
            self.poll = poll
            self.wake = wake
            self.readBuffer = readBuffer
            batch = OutgoingBatch(arena: arena, sender: sender)
        }

        /// For other threads: the eventfd that ends the sleep.
        var wakeNumber: Int32 { wake.descriptor.rawValue }
    }

    /// Never returns but when the TUN is gone.
    mutating func run() {
        while true {
            device.pointee.loops.pointee.fallsAsleep(.transmit)
            var events = epoll_event()
            let count = polling.wait(poll.descriptor.rawValue, &events)
            device.pointee.loops.pointee.wakesUp(.transmit)
            if count < 0 && errno != EINTR { break }
            if events.data.u64 == Self.wakeToken { wake.drain() }
            let generation = device.pointee.pathGeneration.load(ordering: .relaxed)
            if generation != pathGeneration {
                pathGeneration = generation
                batch.sender.forgetRefusals()
            }
            var isDry = false
            while !isDry {
                let now = BootTime.now
                switch fill(now: now) {
                case .dry: isDry = true
                case .full: break
                case .gone:
                    onTunGone()
                    return
                }
                batch.dispatch(&transmitter, now: now)
                handleMail(now: now)
                device.pointee.loops.pointee.passedBoundary(.transmit)
                wakeOthers()
            }
        }
    }

    private enum Filling { case dry, full, gone }

    /// Reads until there is nothing more, or no room for another super-packet.
    private mutating func fill(now: BootTime) -> Filling {
        let packet = readBuffer.base + Self.headroom
        let start = packet - virtioBytes
        while true {
            let count = read(tun, start, virtioBytes &+ Self.packetBytes)
            if count > virtioBytes {
                take(packet, count &- virtioBytes, now: now)
                if !batch.hasRoom(textBytes: Self.packetBytes) { return .full }
                continue
            }
            if count >= 0 {
                countError()
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .dry
            // The interface or its namespace is gone.
            case EBADFD: return .gone
            // Down, and whatever else a driver may invent: nothing to read now.
            default: return .dry
            }
        }
    }

    /// One packet of the kernel's, large or not.
    private mutating func take(_ packet: UnsafeMutableRawPointer, _ byteCount: Int, now: BootTime) {
        var header = VirtioHeader()
        if virtioBytes > 0 {
            guard let read = VirtioHeader(reading: packet - virtioBytes) else { return countError() }
            header = read
        }
        guard let inner = InnerPacket(packet, byteCount),
            var splitter = SegmentSplitter(packet, byteCount, header, maximumBytes: Self.packetBytes)
        else { return countError() }
        let peer: PeerPointer
        let path: DatagramPath
        switch transmitter.destination(of: packet, isIPv6: inner.isIPv6) {
        case .peer(let found, let where_):
            peer = found
            path = where_
        case .noPeer, .noEndpoint:
            return unreachable.answer(packet, inner, .address, now: now)
        }
        let mtu = device.pointee.maximumTransmissionUnit.load(ordering: .relaxed)
        let trafficClass = InnerPacket.outerTrafficClass(packet, isIPv6: inner.isIPv6)
        var limit = DatagramSender.trainBytes(isIPv6: path.isIPv6) &- Message.Data.overheadByteCount
        // The kernel's stack hands over nothing larger, but a raw socket may.
        if mtu > 0 { limit = min(limit, mtu) }
        var isAnswered = false
        // Packets that wait go first: this one joins them.
        let mustWait = !peer.pointee.staged.isEmpty
        while true {
            let textBytes = splitter.nextByteCount
            if textBytes == 0 { break }
            if !batch.hasRoom(textBytes: textBytes) { batch.dispatch(&transmitter, now: now) }
            let text = batch.nextText
            guard splitter.next(into: text) != nil else { break }
            guard textBytes <= limit else {
                countError()
                if !isAnswered { unreachable.answer(packet, inner, .tooBig(mtu: limit), now: now) }
                isAnswered = true
                continue
            }
            if mustWait {
                transmitter.stage(peer, UnsafeRawBufferPointer(start: text, count: textBytes))
            } else {
                batch.append(textBytes: textBytes, mtu: mtu, peer: peer, path: path, trafficClass: trafficClass)
            }
        }
        if mustWait { _ = device.pointee.post(.flush, peer) }
    }

    private func countError() { device.pointee.counters.transmitErrors.wrappingAdd(1, ordering: .relaxed) }

    private mutating func handleMail(now: BootTime) {
        let mtu = device.pointee.maximumTransmissionUnit.load(ordering: .relaxed)
        var mail = transmitter.takeMail()
        while let peer = transmitter.nextToFlush(&mail) {
            batch.dispatchStaged(peer, &transmitter, mtu: mtu, now: now)
        }
    }

    private mutating func wakeOthers() {
        let wakes = transmitter.takeWakes()
        if wakes.contains(.control) { signal(wakeControl) }
        if wakes.contains(.transmit) { wake.signal() }
    }
}

/// Writes to another thread's eventfd.
func signal(_ eventDescriptor: Int32) {
    var one: UInt64 = 1
    _ = write(eventDescriptor, &one, 8)
}
