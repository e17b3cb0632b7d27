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
        let loops = try PacketLoops(
            device: device.record, facts: shared.facts, tun: tun.descriptor.rawValue, layout: tun.layout(),
            ipv4: sockets.ipv4, ipv6: sockets.ipv6, wakeControl: wake.descriptor.rawValue, jitterSeed: 1,
            onTunGone: { _exit(3) })
        wakeTransmit = loops.wakeTransmit
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        for (token, socket) in [(SocketPlaces.Token.ipv4, sockets.ipv4), (.ipv6, sockets.ipv6)] where socket >= 0 {
            event.data.u64 = token.rawValue
            _ = epoll_ctl(loops.receivePoll, EPOLL_CTL_ADD, socket, &event)
        }
        try loops.start()
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
