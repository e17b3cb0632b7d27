import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// One end of a tunnel: a real TUN, real UDP sockets and the two loops on threads of their own, as the worker makes
/// them. Control is the caller's thread; monitor, UAPI, system-call filter and privileges are left out, since a
/// counting tool stands in their way.
final class TestedDevice {
    let publicKey: PublicKey
    private let privateKey = PrivateKey.generate()
    private let tun: TunDevice
    private let sockets: UDPSocketPair
    private let device: Device
    private let shared: SharedState
    private let wake: EventCounter
    private let wakeTransmit: Int32
    private var sender: DatagramSender

    /// Threads start here, tx before rx: a counting tool numbers them in this order.
    init(name: String) throws(SystemError) {
        publicKey = privateKey.publicKey
        tun = try TunDevice.create(name: name)
        sockets = try UDPSocketPair.open(port: 0, mark: 0)
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: SurvivorTable.byteCount(rows: 8), alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        device = Device(survivors: SurvivorTable(memory: memory), random: .system)
        let state = try SharedState.create(byteCount: SharedState.headerBytes)
        shared = try SharedState(state.rawValue, byteCount: SharedState.headerBytes)
        wake = try EventCounter()
        sender = DatagramSender(ipv4: sockets.ipv4, ipv6: sockets.ipv6)
        let offloads = tun.enableOffloads()
        let virtioBytes = try tun.vnetHeaderBytes()
        let number = tun.descriptor.rawValue

        let transmitResources = try TransmitLoop.Resources(
            tun: number, sender: DatagramSender(ipv4: sockets.ipv4, ipv6: sockets.ipv6))
        wakeTransmit = transmitResources.wakeNumber
        let transmit = UnsafeMutablePointer<TransmitLoop>.allocate(capacity: 1)
        transmit.initialize(
            to: TransmitLoop(
                tun: number, virtioBytes: virtioBytes, device: device.record, resources: transmitResources,
                wakeControl: wake.descriptor.rawValue, jitterSeed: 1, onTunGone: { _exit(3) }))

        let receiveResources = try ReceiveLoop.Resources()
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        for (token, socket) in [(SocketPlaces.Token.ipv4, sockets.ipv4), (.ipv6, sockets.ipv6)] where socket >= 0 {
            event.data.u64 = token.rawValue
            _ = epoll_ctl(receiveResources.pollNumber, EPOLL_CTL_ADD, socket, &event)
        }
        let writer = SegmentCoalescer(
            sink: TunSink(tun: number, virtioBytes: virtioBytes), joinsTCP: offloads.contains(.tcp),
            joinsUDP: offloads.contains(.udp))
        let receive = UnsafeMutablePointer<ReceiveLoop>.allocate(capacity: 1)
        receive.initialize(
            to: ReceiveLoop(
                ipv4: sockets.ipv4, ipv6: sockets.ipv6, writer: writer, device: device.record, facts: shared.facts,
                resources: receiveResources, wakeControl: wake.descriptor.rawValue, wakeTransmit: wakeTransmit,
                onTunGone: { _exit(3) }))

        let transmitAddress = UInt(bitPattern: transmit)
        try WorkerThread.start("tx") { UnsafeMutablePointer<TransmitLoop>(bitPattern: transmitAddress)?.pointee.run() }
        let receiveAddress = UInt(bitPattern: receive)
        try WorkerThread.start("rx") { UnsafeMutablePointer<ReceiveLoop>(bitPattern: receiveAddress)?.pointee.run() }
    }

    /// One peer on this machine, for everything.
    func connect(to other: TestedDevice) {
        var change = DeviceChange()
        change.privateKey = .set(privateKey)
        var peer = PeerChange(publicKey: other.publicKey)
        peer.endpoint = Endpoint("127.0.0.1:\(other.sockets.port)")
        peer.allowedIPs = [.add(.everythingIPv4), .add(.everythingIPv6)]
        change.peers = [peer]
        do { try device.apply(change, at: .now) } catch { fatalError("the device is full") }
        device.setUp(true, at: .now)
    }

    /// Packets whose tag was right, since the beginning.
    var authenticated: UInt64 { shared.facts.pointee.authenticated.load(ordering: .relaxed) }

    /// One slice of control: handshakes, mail, timers.
    func runControl() {
        wake.drain()
        device.collectMail(at: .now)
        while device.handleHandshake(at: .now) {}
        device.expireTimers(at: .now)
        for message in device.takeOutgoing() {
            message.withBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                _ = sender.send(
                    UnsafeMutableRawPointer(mutating: base), bytes.count, segmentBytes: bytes.count, to: message.path,
                    trafficClass: 0)
            }
            device.sent(message)
        }
        if device.takeWakes().contains(.transmit) { signal(wakeTransmit) }
        device.reclaim()
    }
}
