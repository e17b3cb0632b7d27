import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// A UDP datagram on its way between virtual devices.
struct Datagram: Equatable {
    var source: Endpoint
    var destination: Endpoint
    var bytes: [UInt8]
    var trafficClass: UInt8 = 0

    var kind: Message.Kind? { bytes.withUnsafeBytes { Message.kind($0) } }
}

/// A whole device without threads, sockets or clocks: the three halves of Protocol/ and the least of a data path
/// around them. Tests and the simulation drive it step by step, through the functions the real threads use.
final class VirtualDevice {
    let privateKey: PrivateKey
    let publicKey: PublicKey
    private(set) var device: Device
    private var transmitter: Transmitter
    private var receiver: Receiver
    private let survivorMemory: UnsafeMutableRawBufferPointer

    /// Where its datagrams come from.
    var address: Endpoint
    var outbox: [Datagram] = []
    /// Packets that reached its TUN.
    var delivered: [[UInt8]] = []
    /// Packets for which there was no peer or no endpoint.
    var unreachable = 0

    /// What happens, as it happens; for the simulation.
    enum Event {
        /// A nonce is used.
        case seals(KeypairPointer, counter: UInt64, at: BootTime)
        /// A run was handed to UDP, one call of `sent`.
        case sent(PublicKey, hasData: Bool)
        /// There was no key to send with.
        case hadNoKey(PublicKey)
        /// A message passed tag and window.
        case admitted(KeypairPointer, counter: UInt64, hasData: Bool, at: BootTime)
        case handshake(PublicKey, DeviceEvent)
    }

    var observe: ((Event) -> Void)? { didSet { observeHandshakes() } }
    /// Somebody wrote control's, or tx's, eventfd.
    var isControlWoken = false
    var isTransmitWoken = false

    init(
        privateKey: PrivateKey, address: Endpoint, random: RandomSource = .system,
        survivors: UnsafeMutableRawBufferPointer? = nil,
        timestampFloor: TAI64N = .zero
    ) {
        self.privateKey = privateKey
        publicKey = privateKey.publicKey
        self.address = address
        survivorMemory = survivors ?? VirtualDevice.makeSurvivorMemory(rows: 64)
        device = Device(
            survivors: SurvivorTable(memory: survivorMemory), random: random, timestampFloor: timestampFloor)
        transmitter = Transmitter(device: device.record, jitterSeed: random.nextUInt64())
        receiver = Receiver(device: device.record)
    }

    private func observeHandshakes() {
        guard observe != nil else { return }
        device.observe = { [unowned self] peer, event in observe?(.handshake(peer.pointee.publicKey, event)) }
    }

    private func note(_ wakes: Wakes) {
        if wakes.contains(.control) { isControlWoken = true }
        if wakes.contains(.transmit) { isTransmitWoken = true }
    }

    deinit { survivorMemory.deallocate() }

    static func makeSurvivorMemory(rows: Int) -> UnsafeMutableRawBufferPointer {
        let count = SurvivorTable.byteCount(rows: rows)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        return memory
    }

    /// The worker is killed and another takes over its survivor table. `configure` gives it the configuration.
    func restartWorker(random: RandomSource, configure: (Device) -> Void, at now: Moment) {
        let floor = device.timestampFloor
        let fresh = Device(survivors: SurvivorTable(memory: survivorMemory), random: random, timestampFloor: floor)
        transmitter = Transmitter(device: fresh.record, jitterSeed: random.nextUInt64())
        receiver = Receiver(device: fresh.record)
        device = fresh
        observeHandshakes()
        isTransmitWoken = false
        configure(fresh)
        fresh.setUp(true, at: now)
        fresh.finishRestore(at: now)
        takeOutgoing()
    }

    /// The worker is killed at this instant, whatever its threads are doing; another is to take over from it, with a
    /// copy of the table as it is now. Nothing that this one still does can be seen.
    func killed(random: RandomSource) -> VirtualDevice {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: survivorMemory.count, alignment: 4096)
        memory.copyMemory(from: UnsafeRawBufferPointer(survivorMemory))
        let successor = VirtualDevice(
            privateKey: privateKey, address: address, random: random, survivors: memory,
            timestampFloor: device.timestampFloor)
        successor.observe = observe
        observe = nil
        return successor
    }

    // MARK: Roles

    /// One slice of control.
    func runControl(at now: Moment) {
        isControlWoken = false
        device.collectMail(at: now)
        while device.handleHandshake(at: now) { takeOutgoing() }
        device.expireTimers(at: now)
        takeOutgoing()
        device.reclaim()
    }

    func takeOutgoing() {
        for message in device.takeOutgoing() {
            outbox.append(
                Datagram(
                    source: address, destination: message.path.endpoint, bytes: message.withBytes { Array($0) },
                    trafficClass: message.trafficClass.rawValue))
            device.sent(message)
        }
        note(device.takeWakes())
    }

    /// One batch of tx: packets from the TUN, all at once, and then the mail.
    func runTransmit(_ packets: [[UInt8]] = [], at now: BootTime) {
        isTransmitWoken = false
        device.record.pointee.loops.pointee.wakesUp(.transmit)
        var index = 0
        while index < packets.count {
            guard let (peer, path) = destination(of: packets[index]) else {
                index += 1
                continue
            }
            var end = index + 1
            while end < packets.count, let next = destination(of: packets[end], counting: false), next.0 == peer {
                end += 1
            }
            if !peer.pointee.staged.isEmpty { flush(peer, at: now) }
            send(Array(packets[index..<end]), to: peer, over: path, at: now)
            index = end
        }
        var mail = transmitter.takeMail()
        while let peer = transmitter.nextToFlush(&mail) { flush(peer, at: now) }
        note(transmitter.takeWakes())
        device.record.pointee.loops.pointee.fallsAsleep(.transmit)
    }

    private func destination(of packet: [UInt8], counting: Bool = true) -> (PeerPointer, DatagramPath)? {
        packet.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, let inner = InnerPacket(base, bytes.count) else { return nil }
            switch transmitter.destination(of: base, isIPv6: inner.isIPv6) {
            case .peer(let peer, let path): return (peer, path)
            case .noPeer, .noEndpoint:
                if counting { unreachable += 1 }
                return nil
            }
        }
    }

    private func send(_ packets: [[UInt8]], to peer: PeerPointer, over path: DatagramPath, at now: BootTime) {
        guard let reservation = transmitter.reserve(peer, count: packets.count, now: now) else {
            observe?(.hadNoKey(peer.pointee.publicKey))
            for packet in packets { packet.withUnsafeBytes { transmitter.stage(peer, $0) } }
            return
        }
        var wireBytes = 0
        for (offset, packet) in packets.enumerated() {
            wireBytes += seal(packet, reservation, UInt64(offset), to: path, at: now)
        }
        observe?(.sent(peer.pointee.publicKey, hasData: true))
        transmitter.sent(peer, wireBytes: wireBytes, hasData: true, now: now)
    }

    private func flush(_ peer: PeerPointer, at now: BootTime) {
        guard let reservation = transmitter.reserve(peer, count: peer.pointee.staged.count, now: now) else {
            observe?(.hadNoKey(peer.pointee.publicKey))
            return
        }
        let path = peer.pointee.path
        var wireBytes = 0
        var hasData = false
        var offset: UInt64 = 0
        while let packet = transmitter.firstStaged(peer) {
            if let path {
                wireBytes += seal(Array(packet), reservation, offset, to: path, at: now)
                if !packet.isEmpty { hasData = true }
            }
            offset += 1
            transmitter.unstageFirst(peer)
        }
        observe?(.sent(peer.pointee.publicKey, hasData: hasData))
        transmitter.sent(peer, wireBytes: wireBytes, hasData: hasData, now: now)
    }

    private func seal(
        _ packet: [UInt8], _ reservation: Transmitter.Reservation, _ offset: UInt64, to path: DatagramPath,
        at now: BootTime
    ) -> Int {
        let mtu = device.record.pointee.maximumTransmissionUnit.load(ordering: .relaxed)
        let text = packet + [UInt8](repeating: 0, count: Padding.bytes(after: packet.count, mtu: mtu))
        let counter = reservation.firstCounter + offset
        Interleaving.point(.reserve)
        observe?(.seals(reservation.keypair, counter: counter, at: now))
        var message = [UInt8](repeating: 0, count: text.count + 32)
        message.withUnsafeMutableBytes { output in
            Message.writeDataHeader(output.baseAddress!, receiver: reservation.remoteIndex, counter: counter)
            text.withUnsafeBytes {
                ChaCha20Poly1305.seal(
                    $0, counter: counter, authenticating: .empty, key: reservation.key, into: output.baseAddress! + 16)
            }
        }
        outbox.append(Datagram(source: address, destination: path.endpoint, bytes: message))
        return message.count
    }

    /// One batch of rx.
    func runReceive(_ datagrams: [Datagram], at now: BootTime) {
        device.record.pointee.loops.pointee.wakesUp(.receive)
        for datagram in datagrams { receive(datagram, at: now) }
        note(receiver.takeWakes())
        device.record.pointee.loops.pointee.fallsAsleep(.receive)
    }

    private func receive(_ datagram: Datagram, at now: BootTime) {
        let path = DatagramPath(datagram.source)
        datagram.bytes.withUnsafeBytes { bytes in
            switch Message.kind(bytes) {
            case .initiation, .response, .cookieReply: receiver.enqueueHandshake(bytes, path: path)
            case .data: receiveData(bytes, path: path, at: now)
            case nil: break
            }
        }
    }

    private func receiveData(_ message: UnsafeRawBufferPointer, path: DatagramPath, at now: BootTime) {
        let header = Message.dataHeader(message.baseAddress!)
        guard let keypair = receiver.keypair(header.receiver, now: now) else { return }
        var text = [UInt8](repeating: 0, count: message.count - 32)
        let opened = text.withUnsafeMutableBytes { output in
            withUnsafeTemporaryAllocation(byteCount: max(1, output.count), alignment: 16) { scratch in
                let good = ChaCha20Poly1305.open(
                    message.part(16, message.count - 16), counter: header.counter, authenticating: .empty,
                    key: keypair.pointee.receiveKey.pointer, into: scratch.baseAddress!)
                output.copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch[..<output.count]))
                return good
            }
        }
        Interleaving.point(.publish)
        guard opened, receiver.admit(keypair, header.counter) else { return }
        observe?(.admitted(keypair, counter: header.counter, hasData: !text.isEmpty, at: now))
        Interleaving.point(.publish)
        receiver.arrived(keypair, path: path)
        var counted = message.count
        let entry = text.withUnsafeBytes { receiver.mayEnter($0, from: keypair.pointee.peer) }
        if case .refused = entry { counted = 0 }
        receiver.received(keypair, hasData: !text.isEmpty, countedBytes: counted, now: now)
        if case .packet(let byteCount, _) = entry { delivered.append(Array(text[..<byteCount])) }
    }

    // MARK: Configuration

    func apply(_ change: DeviceChange, at now: Moment) {
        do { try device.apply(change, at: now) } catch { preconditionFailure("\(error)") }
        takeOutgoing()
    }

    func peer(_ key: PublicKey) -> PeerPointer { device.peerByKey[key]! }
}
