import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// The two real loops against a peer that a test plays with its own socket, message by message.
@Suite struct ThreadedDeviceTests {
    /// The peer: a virtual device whose datagrams go through a real socket.
    private final class PlayedPeer {
        let device: ThreadedDevice
        let virtual: VirtualDevice
        var socket: TestSocket
        var sender: DatagramSender
        var now: Moment { Moment.now }

        init(mtu: Int = 1420) throws {
            device = try ThreadedDevice()
            socket = try TestSocket()
            sender = DatagramSender(ipv4: socket.descriptor.rawValue, ipv6: -1)
            virtual = VirtualDevice(privateKey: .generate(), address: socket.endpoint)
            var change = ThreadedDeviceTests.change(
                device.privateKey, peer: virtual.publicKey, at: socket.endpoint, inner: "10.0.0.2/32")
            device.orderAndWait { [change] in
                $0.record.pointee.maximumTransmissionUnit.store(mtu, ordering: .relaxed)
                try? $0.apply(change, at: .now)
                $0.setUp(true, at: .now)
            }
            let port = device.port.load(ordering: .relaxed)
            change = ThreadedDeviceTests.change(
                virtual.privateKey, peer: device.privateKey.publicKey,
                at: Endpoint(address: .v4(IPv4Address(127, 0, 0, 1)), port: port), inner: "10.0.0.1/32")
            virtual.apply(change, at: now)
            virtual.device.setUp(true, at: now)
        }

        /// Sends what the virtual device has made, all in one train.
        func flush() {
            let datagrams = virtual.outbox
            virtual.outbox = []
            guard let first = datagrams.first else { return }
            var bytes = datagrams.flatMap(\.bytes)
            let outcome = bytes.withUnsafeMutableBytes {
                sender.send(
                    $0.baseAddress!, $0.count, segmentBytes: first.bytes.count, to: DatagramPath(first.destination),
                    trafficClass: 0)
            }
            #expect(outcome.error == 0)
        }

        /// Lets the virtual device have what has come.
        func receive(atLeast count: Int = 1) {
            for message in socket.take(atLeast: count) {
                for offset in stride(from: 0, to: message.bytes.count, by: message.segmentBytes) {
                    let end = min(offset + message.segmentBytes, message.bytes.count)
                    let datagram = Datagram(
                        source: message.path.endpoint, destination: virtual.address,
                        bytes: Array(message.bytes[offset..<end]))
                    virtual.runReceive([datagram], at: now.boot)
                }
            }
            virtual.runControl(at: now)
        }

        /// A session, confirmed on both sides.
        func connect() {
            virtual.runTransmit([Packet.ipv4(from: "10.0.0.2", to: "10.0.0.1")], at: now.boot)
            virtual.runControl(at: now)
            flush()
            receive()
            virtual.runTransmit(at: now.boot)
            flush()
            #expect(device.packet() == Packet.ipv4(from: "10.0.0.2", to: "10.0.0.1"))
        }
    }

    private static func change(_ key: PrivateKey, peer: PublicKey, at endpoint: Endpoint, inner: String) -> DeviceChange
    {
        var change = DeviceChange()
        change.privateKey = .set(key)
        var peer = PeerChange(publicKey: peer)
        peer.endpoint = endpoint
        peer.allowedIPs = [.add(IPPrefix(inner)!)]
        change.peers = [peer]
        return change
    }

    @Test func `D16: a train is taken apart: a bad, an unknown and a handshake segment leave the others alone`() throws
    {
        let peer = try PlayedPeer()
        peer.connect()
        // 148 bytes on the wire, like an initiation: 116 of text, which this MTU leaves unpadded.
        peer.virtual.device.record.pointee.maximumTransmissionUnit.store(116, ordering: .relaxed)
        let packets = (0..<6).map {
            Packet.ipv4(from: "10.0.0.2", to: "10.0.0.1", payload: 96, trafficClass: UInt8($0) << 2)
        }
        peer.virtual.runTransmit(packets, at: peer.now.boot)
        var train = peer.virtual.outbox
        #expect(train.count == 6 && train.allSatisfy { $0.bytes.count == 148 })
        train[1].bytes[100] ^= 1
        train[3].bytes[5] ^= 1
        // Two initiations within 20 ms would be one too many (T2).
        usleep(25_000)
        peer.virtual.device.expireSendingKeys(at: peer.now)
        peer.virtual.outbox = []
        peer.virtual.runTransmit([packets[0]], at: peer.now.boot)
        peer.virtual.runControl(at: peer.now)
        let initiation = try #require(peer.virtual.outbox.first { $0.kind == .initiation })
        train.insert(initiation, at: 3)
        peer.virtual.outbox = train
        peer.flush()
        // The initiation is answered, and four of the six packets come in, in their order.
        #expect([0, 2, 4, 5].map { packets[$0] } == (0..<4).map { _ in peer.device.packet() })
        let kinds = peer.socket.take().map { message in message.bytes.withUnsafeBytes { Message.kind($0) } }
        #expect(kinds == [.response])
        #expect(peer.device.device.record.pointee.counters.receiveDropped.load(ordering: .relaxed) == 2)
    }

    @Test
    func `D19: with an MTU of 65535 a packet of 60000 bytes passes both ways; one that fits no datagram is answered`()
        throws
    {
        let peer = try PlayedPeer(mtu: 65535)
        peer.connect()
        peer.virtual.device.record.pointee.maximumTransmissionUnit.store(65535, ordering: .relaxed)
        let outward = Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: 60_000)
        peer.device.inject(outward)
        peer.receive()
        #expect(peer.virtual.delivered == [outward])
        let inward = Packet.ipv4(from: "10.0.0.2", to: "10.0.0.1", payload: 60_000)
        peer.virtual.runTransmit([inward], at: peer.now.boot)
        peer.flush()
        #expect(peer.device.packet() == inward)
        // 65507 bytes are the most of a datagram over IPv4, 32 of them ours.

        let errors = { peer.device.device.record.pointee.counters.transmitErrors.load(ordering: .relaxed) }
        let before = errors()
        peer.device.inject(Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: 65476 - 20))
        let answer = peer.device.packet()
        try #require(answer.count >= 28)
        #expect(answer[20] == 3 && answer[21] == 4, "fragmentation needed")
        #expect(Int(answer[26]) << 8 | Int(answer[27]) == 65475)
        #expect(errors() == before + 1)
    }

    @Test func `D19: the MTU may change at any time, and bounds the padding from the next packet on`() throws {
        let peer = try PlayedPeer()
        peer.connect()
        for (mtu, wireBytes) in [(1420, 100 + 12 + 32), (101, 101 + 32), (9000, 100 + 12 + 32), (100, 100 + 32)] {
            peer.device.device.record.pointee.maximumTransmissionUnit.store(mtu, ordering: .relaxed)
            peer.device.inject(Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: 80))
            let sizes = peer.socket.take().map(\.bytes.count)
            #expect(sizes == [wireBytes], "MTU \(mtu)")
        }
    }
}
