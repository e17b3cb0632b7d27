import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// One end of a tunnel with the two real loops on threads of their own and real UDP sockets. In the TUN's place is a
/// pair of sockets that keep messages apart, so that a test sees every byte and may say what the kernel never would.
/// Control is the test's own thread. The threads never end; they sleep when the test is over.
final class LoopEnd {
    let publicKey: PublicKey
    let device: Device
    let sockets: UDPSocketPair
    let virtioBytes: Int
    private let privateKey = PrivateKey.generate()
    /// The kernel's end of the TUN.
    private let outside: Int32
    let shared: SharedState
    private let wake: EventCounter
    private let wakeTransmit: Int32
    private var sender: DatagramSender
    private let receivePoll: Int32

    /// - Parameter virtioBytes: 0 is a TUN without vnet headers.
    init(virtioBytes: Int = 10) throws {
        self.virtioBytes = virtioBytes
        publicKey = privateKey.publicKey
        let (inside, outside) = try DescriptorChannel.makePair()
        self.outside = outside
        for number in [inside, outside] {
            var bytes: Int32 = 4 << 20
            setsockopt(number, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        sockets = try UDPSocketPair.open(port: 0, mark: 0)
        let memory = VirtualDevice.makeSurvivorMemory(rows: 8)
        device = Device(survivors: SurvivorTable(memory: memory), random: .system)
        shared = try SharedState(
            try SharedState.create(byteCount: SharedState.headerBytes).release(), byteCount: SharedState.headerBytes)
        wake = try EventCounter()
        sender = DatagramSender(ipv4: sockets.ipv4, ipv6: sockets.ipv6)
        let loops = try PacketLoops(
            device: device.record, facts: shared.facts, tun: inside,
            layout: TunDevice.Layout(headerBytes: virtioBytes, offloads: [.tcp, .udp]), ipv4: sockets.ipv4,
            ipv6: sockets.ipv6, wakeControl: wake.descriptor.rawValue, jitterSeed: 1, onTunGone: {})
        wakeTransmit = loops.wakeTransmit
        receivePoll = loops.receivePoll
        resumeReceiving()
        // The threads never end, so neither does what they use.
        _ = Unmanaged.passRetained(self)
        try loops.start()
    }

    var address: Endpoint { Endpoint(address: .v4(IPv4Address(rawValue: 0x7f00_0001)), port: sockets.port) }

    /// One peer, for everything.
    func connect(to key: PublicKey, at endpoint: Endpoint) throws {
        var change = DeviceChange()
        change.privateKey = .set(privateKey)
        var peer = PeerChange(publicKey: key)
        peer.endpoint = endpoint
        peer.allowedIPs = [.add(.everythingIPv4), .add(.everythingIPv6)]
        change.peers = [peer]
        try device.apply(change, at: .now)
        device.setUp(true, at: .now)
    }

    /// The kernel hands a packet over; `raw` is all of it, header included.
    func put(raw: [UInt8]) { _ = raw.withUnsafeBytes { write(outside, $0.baseAddress, $0.count) } }

    func put(_ packet: [UInt8], _ header: VirtioHeader = VirtioHeader()) {
        guard virtioBytes > 0 else { return put(raw: packet) }
        var bytes = [UInt8](repeating: 0, count: virtioBytes)
        bytes.withUnsafeMutableBytes { room in
            if let base = room.baseAddress { header.write(to: base, size: virtioBytes) }
        }
        put(raw: bytes + packet)
    }

    /// What has been written into the TUN, one message each, header included.
    func taken() -> [[UInt8]] {
        var messages: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(outside, $0.baseAddress, $0.count) }
            if count <= 0 { return messages }
            messages.append(Array(buffer[..<count]))
        }
    }

    /// The same, as packets of wire size: what was joined is cut as the kernel would cut it.
    func takenPackets() -> [[UInt8]] {
        taken().flatMap { message -> [[UInt8]] in
            guard virtioBytes > 0 else { return [message] }
            guard let header = message.withUnsafeBytes({ $0.baseAddress.flatMap { VirtioHeader(reading: $0) } }) else {
                return []
            }
            return split(Array(message[virtioBytes...]), header) ?? []
        }
    }

    /// What comes from now on waits in the sockets: the loop will take it in one batch.
    func holdReceiving() {
        for socket in [sockets.ipv4, sockets.ipv6] where socket >= 0 {
            _ = epoll_ctl(receivePoll, EPOLL_CTL_DEL, socket, nil)
        }
    }

    func resumeReceiving() {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        for (token, socket) in [(SocketPlaces.Token.ipv4, sockets.ipv4), (.ipv6, sockets.ipv6)] where socket >= 0 {
            event.data.u64 = token.rawValue
            _ = epoll_ctl(receivePoll, EPOLL_CTL_ADD, socket, &event)
        }
    }

    /// Messages that wait in the IPv4 socket while receiving is held, taken away: bytes of each, and of its datagrams.
    func takeHeld() throws -> [(byteCount: Int, segmentBytes: Int)] {
        var receiver = DatagramReceiver(buffers: try PageRegion(byteCount: DatagramReceiver.regionBytes))
        var messages: [(byteCount: Int, segmentBytes: Int)] = []
        while true {
            let count = receiver.receive(sockets.ipv4)
            if count == 0 { return messages }
            for index in 0..<count {
                guard let message = receiver.message(index) else { continue }
                messages.append((message.byteCount, message.segmentBytes))
            }
        }
    }

    var transmitErrors: UInt64 { device.record.pointee.counters.transmitErrors.load(ordering: .relaxed) }
    var receiveDropped: UInt64 { device.record.pointee.counters.receiveDropped.load(ordering: .relaxed) }

    /// One slice of control.
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

/// Lets ends work until `condition` holds; false after twenty seconds.
func work(_ ends: [LoopEnd], also: () -> Void = {}, until condition: () -> Bool) -> Bool {
    let start = BootTime.now
    while true {
        for end in ends { end.runControl() }
        also()
        if condition() { return true }
        if BootTime.now.since(start) > 20_000_000_000 { return false }
        usleep(500)
    }
}
