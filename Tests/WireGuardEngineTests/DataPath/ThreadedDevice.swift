import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// A device as a worker has it: the two real loops on threads of their own, real UDP sockets on the loopback, and a
/// control thread that does what `ControlLoop` does, but takes its orders from a test. A socket pair stands in for
/// the TUN: one packet, one message.
///
/// The loops end with their process only, so nothing here is ever freed.
final class ThreadedDevice: @unchecked Sendable {
    typealias Order = @Sendable (Device) -> Void

    let privateKey = PrivateKey.generate()
    let device: Device
    /// The namespace's side of the TUN.
    let inside: Int32
    /// The port of its sockets at present.
    let port = Atomic<UInt16>(0)
    private let places: SocketPlaces
    private let wake: EventCounter
    private let wakeTransmit: Int32
    private var sender: DatagramSender
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var orders: [Order] = []

    init() throws {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        device = Device(
            survivors: SurvivorTable(memory: UnsafeMutableRawBufferPointer(rebasing: memory[4096...])), random: .system)
        let facts = memory.baseAddress!.assumingMemoryBound(to: SharedState.Facts.self)
        lock.initialize(to: pthread_mutex_t())
        pthread_mutex_init(lock, nil)
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0)
        let tun = pair[0]
        inside = pair[1]
        let placeholder = try EventCounter()
        let (ipv4, ipv6) = try SocketPlaces.reserve(placeholder)
        wake = try EventCounter()
        let loops = try PacketLoops(
            device: device.record, facts: facts, tun: tun, layout: TunDevice.Layout(headerBytes: 0, offloads: []),
            ipv4: ipv4, ipv6: ipv6, wakeControl: wake.descriptor.rawValue, jitterSeed: 1, onTunGone: {})
        wakeTransmit = loops.wakeTransmit
        places = SocketPlaces(ipv4: ipv4, ipv6: ipv6, placeholder: placeholder, receivePoll: loops.receivePoll)
        sender = DatagramSender(ipv4: ipv4, ipv6: ipv6)
        try openSockets(port: 0)
        try loops.start()
        try WorkerThread.start("test-control") { self.control() }
    }

    /// Control does it, in its own time.
    func order(_ order: @escaping Order) {
        pthread_mutex_lock(lock)
        orders.append(order)
        pthread_mutex_unlock(lock)
        wake.signal()
    }

    /// The same, and waits until it is done.
    func orderAndWait(_ order: @escaping Order) {
        let isDone = UnsafeMutablePointer<Atomic<Bool>>.allocate(capacity: 1)
        isDone.initialize(to: Atomic(false))
        let address = UInt(bitPattern: isDone)
        self.order {
            order($0)
            UnsafeMutablePointer<Atomic<Bool>>(bitPattern: address)!.pointee.store(true, ordering: .releasing)
        }
        while !isDone.pointee.load(ordering: .acquiring) { usleep(200) }
    }

    /// A packet as the namespace sends it.
    func inject(_ packet: [UInt8]) { #expect(write(inside, packet, packet.count) == packet.count) }

    /// The next packet for the namespace; empty when none comes within twenty seconds.
    func packet() -> [UInt8] {
        var entry = pollfd(fd: inside, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, 20_000) == 1 else { return [] }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(inside, &buffer, buffer.count)
        return Array(buffer.prefix(max(0, count)))
    }

    // MARK: control's thread

    /// New sockets behind the numbers that the loops use, on another port if it is 0.
    func openSockets(port wanted: UInt16) throws {
        let pair = try UDPSocketPair.open(port: wanted, mark: 0)
        port.store(pair.port, ordering: .relaxed)
        places.install(
            ipv4: try FileDescriptor.duplicating(pair.ipv4).release(),
            ipv6: pair.ipv6 < 0 ? -1 : try FileDescriptor.duplicating(pair.ipv6).release())
        sender.forgetRefusals()
    }

    private func control() {
        while true {
            var entry = pollfd(fd: wake.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            let due = device.nextDeadline(after: .now).map { Int32(min($0.since(.now) / 1_000_000 + 1, 50)) } ?? 50
            poll(&entry, 1, due)
            wake.drain()
            pthread_mutex_lock(lock)
            let taken = orders
            orders = []
            pthread_mutex_unlock(lock)
            for order in taken {
                order(device)
                afterWork()
            }
            for _ in 0..<16 { if !device.handleHandshake(at: .now) { break } }
            device.collectMail(at: .now)
            device.expireTimers(at: .now)
            afterWork()
        }
    }

    private func afterWork() {
        for message in device.takeOutgoing() {
            message.withBytes { bytes in
                let outcome = sender.send(
                    UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count, segmentBytes: bytes.count,
                    to: message.path, trafficClass: message.trafficClass.rawValue)
                if outcome.sourceIsGone { message.peer?.pointee.clearSource() }
                if outcome.sentBytes > 0 { device.sent(message) }
            }
        }
        if device.takeWakes().contains(.transmit) { signal(wakeTransmit) }
        device.reclaim()
    }
}
