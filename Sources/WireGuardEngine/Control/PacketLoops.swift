import LinuxSystem

/// The worker's two packet loops: all that they need, made while the process may still make it, and a thread for each
/// of them later. Both last as long as the process, so nothing of them is freed.
struct PacketLoops {
    private let transmit = UnsafeMutablePointer<TransmitLoop>.allocate(capacity: 1)
    private let receive = UnsafeMutablePointer<ReceiveLoop>.allocate(capacity: 1)
    /// The eventfd that ends tx's sleep.
    let wakeTransmit: Int32
    /// rx's epoll descriptor, in which whoever has the sockets has them watched (`SocketPlaces.Token`).
    let receivePoll: Int32

    /// - Parameters:
    ///   - tun, ipv4, ipv6, wakeControl: descriptors that stay open; what is behind the sockets' numbers may change.
    ///   - layout: of the packets in the TUN.
    ///   - onTunGone: called on either thread, which then ends.
    init(
        device: DeviceRecordPointer, facts: UnsafeMutablePointer<SharedState.Facts>, tun: Int32,
        layout: TunDevice.Layout, ipv4: Int32, ipv6: Int32, wakeControl: Int32, jitterSeed: UInt64,
        mayPoll: Bool = false, onTunGone: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let transmitResources = try TransmitLoop.Resources(tun: tun, sender: DatagramSender(ipv4: ipv4, ipv6: ipv6))
        let receiveResources = try ReceiveLoop.Resources()
        wakeTransmit = transmitResources.wakeNumber
        receivePoll = receiveResources.pollNumber
        transmit.initialize(
            to: TransmitLoop(
                tun: tun, virtioBytes: layout.headerBytes, device: device, resources: transmitResources,
                wakeControl: wakeControl, jitterSeed: jitterSeed, mayPoll: mayPoll, onTunGone: onTunGone))
        let writer = SegmentCoalescer(
            sink: TunSink(tun: tun, virtioBytes: layout.headerBytes), joinsTCP: layout.offloads.contains(.tcp),
            joinsUDP: layout.offloads.contains(.udp))
        receive.initialize(
            to: ReceiveLoop(
                ipv4: ipv4, ipv6: ipv6, writer: writer, device: device, facts: facts, resources: receiveResources,
                wakeControl: wakeControl, wakeTransmit: wakeTransmit, mayPoll: mayPoll, onTunGone: onTunGone))
    }

    /// Once. Tx's thread is made first: tools that count per thread number them in this order.
    ///
    /// - Parameter prepare: what each thread does before its first packet.
    func start(_ prepare: @escaping @Sendable () -> Void = {}) throws(SystemError) {
        let transmitAddress = UInt(bitPattern: transmit)
        try WorkerThread.start("swg-tx") {
            prepare()
            UnsafeMutablePointer<TransmitLoop>(bitPattern: transmitAddress)?.pointee.run()
        }
        let receiveAddress = UInt(bitPattern: receive)
        try WorkerThread.start("swg-rx") {
            prepare()
            UnsafeMutablePointer<ReceiveLoop>(bitPattern: receiveAddress)?.pointee.run()
        }
    }
}
