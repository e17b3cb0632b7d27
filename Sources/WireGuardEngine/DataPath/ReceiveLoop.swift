import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import WireGuardCrypto

/// The rx thread: from the UDP sockets to the TUN, run to completion (DESIGN §5).
///
/// Sleeps in epoll on both sockets and an eventfd; awake, it takes messages in batches, cuts them where UDP_GRO
/// joined them, collects runs of one key and one path, opens each run with one call of the cipher and joins the
/// texts for the TUN where they lie. Every byte is a stranger's until its tag verified: handshake messages go to
/// control unread, anything else is dropped and counted. Nothing is allocated after `init`.
struct ReceiveLoop: ~Copyable {
    private static var runCapacity: Int { 256 }

    private let ipv4: Int32
    private let ipv6: Int32
    private let poll: EventPoll
    private let wake: EventCounter
    private let device: DeviceRecordPointer
    private let facts: UnsafeMutablePointer<SharedState.Facts>
    private let wakeControl: Int32
    private let wakeTransmit: Int32
    private let onTunGone: @Sendable () -> Void
    private var receiver: Receiver
    private var datagrams: DatagramReceiver
    private var cipher: TrainCipher
    private var writer: SegmentCoalescer<TunSink>
    private let packets: UnsafeMutablePointer<CipherPacket>
    private var runCount = 0
    private var runKeypair: KeypairPointer?
    private var runPath: DatagramPath
    private var runTrafficClass: UInt8 = 0
    private var polling: BusyPolling
    private var trial = PollingTrial()
    /// Of all datagrams, for `trial`.
    private var receivedBytes: UInt64 = 0
    private var pollingRound: UInt32 = 0

    /// - Parameters: descriptor numbers that stay the same when the sockets behind them are replaced; control
    ///   adds those to `poll`, since it replaces them. `mayPoll`: both loops may keep a processor busy for a moment,
    ///   where that makes an exchange faster.
    init(
        ipv4: Int32, ipv6: Int32, writer: consuming SegmentCoalescer<TunSink>, device: DeviceRecordPointer,
        facts: UnsafeMutablePointer<SharedState.Facts>, resources: consuming Resources, wakeControl: Int32,
        wakeTransmit: Int32, mayPoll: Bool = false, onTunGone: @escaping @Sendable () -> Void
    ) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.device = device
        self.facts = facts
        self.wakeControl = wakeControl
        self.wakeTransmit = wakeTransmit
        self.onTunGone = onTunGone
        poll = resources.poll
        wake = resources.wake
        datagrams = resources.datagrams
        receiver = Receiver(device: device)
        cipher = TrainCipher()
        self.writer = writer
        packets = .allocate(capacity: Self.runCapacity)
        runPath = DatagramPath(Endpoint(address: .v4(.any), port: 0))
        polling = BusyPolling(isPossible: mayPoll, loops: device.pointee.loops)
    }

    /// What has to be asked of the kernel beforehand.
    struct Resources: ~Copyable {
        let poll: EventPoll
        let wake: EventCounter
        let datagrams: DatagramReceiver

        init() throws(SystemError) {
            let poll = try EventPoll()
            let wake = try EventCounter()
            try poll.add(wake.descriptor.rawValue, .readable, token: 0)
            let buffers = try PageRegion(byteCount: DatagramReceiver.regionBytes)
            self.poll = poll
            self.wake = wake
            datagrams = DatagramReceiver(buffers: buffers)
        }

        /// For control, which adds the sockets.
        var pollNumber: Int32 { poll.descriptor.rawValue }
    }

    deinit { packets.deallocate() }

    /// Never returns but when the TUN is gone.
    mutating func run() {
        while true {
            device.pointee.loops.pointee.fallsAsleep(.receive)
            var events = epoll_event()
            let count = wait(&events)
            device.pointee.loops.pointee.wakesUp(.receive)
            if count < 0 && errno != EINTR { return }
            // One batch, then epoll again: it names the sockets in turn, so that neither family starves the other, and
            // costs less than asking both whether they are dry.
            switch SocketPlaces.Token(rawValue: events.data.u64) {
            case .ipv4: receiveBatch(ipv4)
            case .ipv6: receiveBatch(ipv6)
            case nil: wake.drain()
            }
            if writer.sink.isGone {
                onTunGone()
                return
            }
        }
    }

    /// epoll_wait(2), and what its length tells of the traffic.
    private mutating func wait(_ event: inout epoll_event) -> Int32 {
        guard polling.isPossible else { return epoll_wait(poll.descriptor.rawValue, &event, 1, -1) }
        let count = polling.wait(poll.descriptor.rawValue, &event)
        let wasLooking = trial.isLooking
        trial.packetCame(
            at: BootTime.now,
            movedBytes: receivedBytes &+ device.pointee.loops.pointee.sentBytes.load(ordering: .relaxed),
            isExhausted: wasLooking && polling.isExhausted)
        if trial.isLooking != wasLooking {
            // Zero is none.
            if !wasLooking { pollingRound = pollingRound == .max ? 1 : pollingRound &+ 1 }
            device.pointee.loops.pointee.pollingRound.store(wasLooking ? 0 : pollingRound, ordering: .relaxed)
        }
        return count
    }

    /// One batch of one socket.
    private mutating func receiveBatch(_ socket: Int32) {
        let count = datagrams.receive(socket)
        if count == 0 { return }
        let now = BootTime.now
        for index in 0..<count {
            guard let message = datagrams.message(index) else { continue }
            receivedBytes &+= UInt64(truncatingIfNeeded: message.byteCount)
            var offset = 0
            while offset < message.byteCount {
                let bytes = min(message.segmentBytes, message.byteCount &- offset)
                take(UnsafeMutableRawBufferPointer(start: message.bytes + offset, count: bytes), message, now: now)
                offset &+= bytes
            }
        }
        finishRun(now: now)
        // The pieces lie in the buffers that the next batch fills.
        writer.flush()
        device.pointee.loops.pointee.passedBoundary(.receive)
        let wakes = receiver.takeWakes()
        if wakes.contains(.control) { signal(wakeControl) }
        if wakes.contains(.transmit) { signal(wakeTransmit) }
    }

    /// One datagram.
    private mutating func take(_ datagram: UnsafeMutableRawBufferPointer, _ message: ReceivedMessage, now: BootTime) {
        guard let kind = Message.kind(UnsafeRawBufferPointer(datagram)), let base = datagram.baseAddress else {
            return countDropped()
        }
        guard kind == .data else {
            return receiver.enqueueHandshake(UnsafeRawBufferPointer(datagram), path: message.path)
        }
        let header = Message.dataHeader(base)
        if let keypair = runKeypair, keypair.pointee.localIndex == header.receiver, runCount < Self.runCapacity,
            runTrafficClass == message.trafficClass, runPath == message.path
        {
            append(datagram, header.counter)
            return
        }
        finishRun(now: now)
        guard let keypair = receiver.keypair(header.receiver, now: now) else { return countDropped() }
        runKeypair = keypair
        runPath = message.path
        runTrafficClass = message.trafficClass
        append(datagram, header.counter)
    }

    private mutating func append(_ datagram: UnsafeMutableRawBufferPointer, _ counter: UInt64) {
        guard let base = datagram.baseAddress else { return }
        let text = (base + Message.Data.headerByteCount).assumingMemoryBound(to: UInt8.self)
        let length = datagram.count &- Message.Data.overheadByteCount
        (packets + runCount).initialize(
            to: CipherPacket(text: text, length: UInt32(truncatingIfNeeded: length), counter: counter))
        runCount &+= 1
    }

    /// Opens the run and hands its texts on.
    private mutating func finishRun(now: BootTime) {
        guard let keypair = runKeypair, runCount > 0 else { return }
        let packets = packets
        let count = runCount
        openRun(keypair, count)
        runCount = 0
        runKeypair = nil
        var countedBytes = 0
        var hasData = false
        var opened = 0
        for index in 0..<count where packets[index].isOpened { opened &+= 1 }
        // Before anything enters: the answer to the first packet of a new session may come back at once, and
        // must find that session, and the path that the peer has roamed to.
        if opened > 0 { receiver.arrived(keypair, path: runPath) }
        for index in 0..<count {
            guard packets[index].isOpened else {
                countDropped()
                continue
            }
            let text = UnsafeMutableRawPointer(packets[index].text)
            let length = Int(packets[index].length)
            switch receiver.mayEnter(UnsafeRawBufferPointer(start: text, count: length), from: keypair.pointee.peer) {
            case .packet(let byteCount, let isIPv6):
                hasData = true
                countedBytes &+= length &+ Message.Data.overheadByteCount
                if runTrafficClass & 1 != 0 {
                    InnerPacket.decapsulateCongestion(of: text, isIPv6: isIPv6, outer: runTrafficClass)
                }
                writer.add(text, byteCount, isIPv6: isIPv6)
            case .keepalive: countedBytes &+= Message.Data.overheadByteCount
            case .refused: hasData = true
            }
        }
        if opened > 0 {
            receiver.received(keypair, hasData: hasData, countedBytes: countedBytes, now: now)
            facts.pointee.authenticated.wrappingAdd(UInt64(truncatingIfNeeded: opened), ordering: .relaxed)
        }
    }

    private mutating func openRun(_ keypair: KeypairPointer, _ count: Int) {
        let packets = packets
        cipher.open(packets, count: count, key: UnsafeRawPointer(keypair.pointee.receiveKey.pointer)) { index in
            keypair.pointee.window.admit(packets[index].counter)
        }
    }

    private func countDropped() { device.pointee.counters.receiveDropped.wrappingAdd(1, ordering: .relaxed) }
}
