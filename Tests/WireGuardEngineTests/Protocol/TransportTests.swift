import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

@Suite struct TransportTests {
    @Test func `D1: packets are padded to 16 but not beyond the MTU`() {
        for (length, mtu, expected) in [
            (0, 1420, 0), (1, 1420, 15), (16, 1420, 0), (17, 1420, 15), (1408, 1420, 0), (1409, 1420, 11),
            (1420, 1420, 0),
            (1421, 1420, 15), (1422, 1420, 14), (2840, 1420, 0), (100, 0, 12), (1299, 1299, 0), (1290, 1299, 6),
            (70000, 65535, 15),
        ] {
            #expect(Padding.bytes(after: length, mtu: mtu) == expected, "\(length) of \(mtu)")
        }
    }

    @Test func `D1: a padded packet arrives with its own length`() {
        let pair = VirtualPair()
        for payload in [0, 1, 12, 100, 1400] {
            pair.send(from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: payload))
            pair.settle()
            #expect(pair.b.delivered.last?.count == 20 + payload)
            #expect(pair.sent(.data, from: pair.a).last!.datagram.bytes.count % 16 == (payload == 1400 ? 12 : 0))
        }
    }

    /// Sends a text as it is, under A's session.
    private func inject(_ pair: VirtualPair, _ text: [UInt8]) {
        let keypair = pair.a.peer(pair.b.publicKey).current!
        let counter = keypair.counter
        keypair.counter = counter + 1
        var message = [UInt8](repeating: 0, count: text.count + 32)
        message.withUnsafeMutableBytes { output in
            Message.writeDataHeader(output.baseAddress!, receiver: keypair.pointee.remoteIndex, counter: counter)
            text.withUnsafeBytes {
                ChaCha20Poly1305.seal(
                    $0, counter: counter, authenticating: .empty, key: keypair.pointee.sendKey.pointer,
                    into: output.baseAddress! + 16)
            }
        }
        pair.b.runReceive(
            [Datagram(source: pair.a.address, destination: pair.b.address, bytes: message)], at: pair.now.boot)
    }

    @Test func `D2, D3: only whole IP packets enter, whatever their header says`() {
        let pair = VirtualPair()
        pair.connect()
        let before = pair.b.delivered.count
        var short = Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2")
        short[3] = 19
        var long = Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2")
        long[3] = 29
        var version = long
        version[0] = 0x55
        var longIPv6 = Packet.ipv6(from: "fd00::1", to: "fd00::2")
        longIPv6.replaceSubrange(4..<6, with: [0xff, 0xff])
        for text in [short, long, version, longIPv6, Array(short[..<19]), Array(longIPv6[..<39]), [0x45], [0x60]] {
            inject(pair, text)
        }
        #expect(pair.b.delivered.count == before)
        inject(pair, Packet.ipv6(from: "fd00::1", to: "fd00::2") + [0, 0, 0])
        #expect(pair.b.delivered.last == Packet.ipv6(from: "fd00::1", to: "fd00::2"))
        let counters = pair.b.device.record.pointee.reclaimer
        #expect(!counters.isWaiting)
        #expect(pair.b.device.record.pointee.counters.receiveLengthErrors.load(ordering: .relaxed) == 8)
    }

    @Test func `D2: a source that belongs to another peer, or to none, is refused although the tag is good`() {
        let pair = VirtualPair()
        pair.connect()
        // B gives A 10.0.0.0/8 and another peer 10.1.0.0/16 in it.
        var change = DeviceChange()
        var a = PeerChange(publicKey: pair.a.publicKey)
        a.allowedIPs = [.add(IPPrefix("10.0.0.0/8")!)]
        var other = PeerChange(publicKey: PrivateKey.generate().publicKey)
        other.allowedIPs = [.add(IPPrefix("10.1.0.0/16")!)]
        change.peers = [a, other]
        pair.b.apply(change, at: pair.now)
        let before = pair.b.delivered.count
        inject(pair, Packet.ipv4(from: "10.1.2.3", to: "10.0.0.2"))
        inject(pair, Packet.ipv4(from: "11.0.0.1", to: "10.0.0.2"))
        #expect(pair.b.delivered.count == before)
        #expect(pair.b.device.record.pointee.counters.receiveFrameErrors.load(ordering: .relaxed) == 2)
        inject(pair, Packet.ipv4(from: "10.2.0.1", to: "10.0.0.2"))
        #expect(pair.b.delivered.count == before + 1)
    }

    @Test func `D4: no peer and no endpoint are told apart from a packet that goes out`() {
        let pair = VirtualPair()
        pair.send(from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "10.0.0.3"))
        #expect(pair.a.unreachable == 1)
        pair.send(from: pair.b)
        #expect(pair.b.unreachable == 1)
        #expect(pair.b.peer(pair.a.publicKey).stagedCount == 0)
        pair.send(from: pair.a, [0x20] + [UInt8](repeating: 0, count: 40))
        #expect(pair.a.unreachable == 1)
    }

    @Test func `D5: handshake messages carry AF41, cookie replies nothing`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.history.prefix(2).map(\.datagram.trafficClass) == [0x88, 0x88])
    }

    @Test func `D7: staged packets keep their order, and the oldest go when there are too many`() {
        let pair = VirtualPair()
        pair.passes = { _ in false }
        for number in 0..<140 {
            pair.send(from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: number))
        }
        let peer = pair.a.peer(pair.b.publicKey)
        #expect(peer.stagedCount == 129)
        #expect(pair.a.device.record.pointee.counters.transmitDropped.load(ordering: .relaxed) == 11)
        pair.settle()
        pair.passes = { _ in true }
        pair.run(seconds: 6)
        #expect(pair.b.delivered.map { $0.count - 20 } == Array(11..<140))
        // Memory of all staged packets is bounded, whatever their number and size.
        var pool = StagingPool(byteLimit: 10_000)
        var staged = StagedPackets()
        let packet = [UInt8](repeating: 0x45, count: 4000)
        var dropped = 0
        for _ in 0..<10 { dropped += packet.withUnsafeBytes { staged.append($0, pool: &pool) } }
        let used = pool.bytesInUse
        #expect(used <= 10_000)
        #expect(dropped == 8)
        _ = staged.removeAll(&pool)
        let left = pool.bytesInUse
        #expect(left == 0)
    }

    @Test func `D9: the endpoint follows every authenticated message and nothing else`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = { pair.b.peer(pair.a.publicKey).pointee.path?.endpoint }
        #expect(peer() == pair.a.address)
        let moved = Endpoint("[fe80::1%3]:4444")!
        pair.a.address = moved
        pair.send(from: pair.a)
        var damaged = pair.a.outbox[0]
        damaged.bytes[20] ^= 1
        damaged.source = Endpoint("203.0.113.1:1")!
        pair.b.runReceive([damaged], at: pair.now.boot)
        #expect(peer() == VirtualPair.addressA)
        pair.b.runReceive(pair.a.outbox, at: pair.now.boot)
        #expect(peer() == moved)
        // A replayed message does not move it back.
        var replayed = pair.a.outbox[0]
        replayed.source = VirtualPair.addressA
        pair.b.runReceive([replayed], at: pair.now.boot)
        #expect(peer() == moved)
    }

    @Test func `D8: a sticky source is remembered, and cleared by retries, new sockets and a silent peer`() {
        let pair = VirtualPair()
        let peer = pair.a.peer(pair.b.publicKey)
        func stick() {
            var path = DatagramPath(VirtualPair.addressB)
            path.hasSource = true
            path.sourceLow = 0xc000_0201
            path.sourceInterface = 2
            peer.pointee.roam(to: path)
            #expect(peer.pointee.path == path)
        }
        pair.passes = { _ in false }
        stick()
        pair.send(from: pair.a)
        pair.settle()
        #expect(peer.pointee.path?.hasSource == true)
        pair.run(seconds: 6)
        #expect(peer.pointee.path?.hasSource == false)
        stick()
        var change = DeviceChange()
        change.firewallMark = 1
        pair.a.apply(change, at: pair.now)
        #expect(peer.pointee.path?.hasSource == false)
        stick()
        change = DeviceChange()
        change.listenPort = 2
        pair.a.apply(change, at: pair.now)
        #expect(peer.pointee.path?.hasSource == false)
        #expect(peer.pointee.path?.endpoint == VirtualPair.addressB)
    }

    /// Checklist D11: kernel netns.sh finds 1372 received after ten pings each way and one handshake.
    @Test func `D11: ten pings in each direction and one handshake are 1372 bytes received`() {
        let pair = VirtualPair()
        for _ in 0..<10 {
            pair.send(from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: 64))
            pair.settle()
            pair.send(from: pair.b, Packet.ipv4(from: "10.0.0.2", to: "10.0.0.1", payload: 64))
            pair.settle()
        }
        let a = pair.a.device.status().peers[pair.b.publicKey]!
        let b = pair.b.device.status().peers[pair.a.publicKey]!
        #expect(a.receivedBytes == 92 + 10 * 128 && a.receivedBytes == 1372)
        #expect(b.sentBytes == 1372)
        #expect(b.receivedBytes == 148 + 10 * 128 && b.receivedBytes == 1428)
        #expect(a.sentBytes == 1428)
    }

    @Test func `D12: down forgets sessions and staged packets and stops timers; up sends keepalives`() {
        let pair = VirtualPair(keepaliveA: 25, up: false)
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.history.isEmpty)
        pair.a.device.setUp(true, at: pair.now)
        pair.b.device.setUp(true, at: pair.now)
        pair.settle()
        let peer = pair.a.peer(pair.b.publicKey)
        #expect(peer.current != nil)
        pair.a.device.setUp(false, at: pair.now)
        pair.a.runTransmit(at: pair.now.boot)
        #expect(peer.current == nil)
        #expect(
            pair.a.device.nextDeadline(after: pair.now.boot) == nil || pair.a.device.record.pointee.reclaimer.isWaiting)
        let before = pair.history.count
        pair.send(from: pair.b)
        pair.run(seconds: 60)
        #expect(pair.history[before...].allSatisfy { $0.datagram.source == pair.b.address })
        // Up again: a handshake at once, although the last one was sent a moment ago.
        pair.a.device.setUp(true, at: pair.now)
        pair.settle()
        #expect(peer.current != nil)
    }

    @Test func `D13: inner checksums are not looked at, and nothing is answered or forwarded between peers`() {
        let pair = VirtualPair()
        pair.connect()
        var wrong = Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2")
        wrong[10] ^= 0xff
        inject(pair, wrong)
        #expect(pair.b.delivered.last == wrong)
        // To another peer of B, and to its sender: both go to the TUN, where routing decides.
        var change = DeviceChange()
        var other = PeerChange(publicKey: PrivateKey.generate().publicKey)
        other.endpoint = Endpoint("192.0.2.3:3")
        other.allowedIPs = [.add(IPPrefix("10.0.0.3/32")!)]
        change.peers = [other]
        pair.b.apply(change, at: pair.now)
        for destination in ["10.0.0.3", "10.0.0.1"] {
            inject(pair, Packet.ipv4(from: "10.0.0.1", to: destination))
            pair.b.runTransmit(at: pair.now.boot)
            pair.b.runControl(at: pair.now)
        }
        #expect(pair.b.delivered.count == 4)
        #expect(pair.b.outbox.isEmpty)
    }

    @Test func `D14: an endpoint behind the tunnel itself does not multiply ten packets`() {
        let pair = VirtualPair()
        var bytes = 0
        for _ in 0..<10 {
            pair.send(from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: 64))
            for _ in 0..<50 {
                pair.a.runControl(at: pair.now)
                pair.a.runTransmit(at: pair.now.boot)
                let looped = pair.a.outbox
                pair.a.outbox = []
                bytes += looped.reduce(0) { $0 + $1.bytes.count }
                for datagram in looped {
                    pair.send(
                        from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: datagram.bytes.count + 8))
                }
            }
            pair.advance(seconds: 1)
        }
        #expect(bytes > 0 && bytes < 70_000)
    }

    @Test func `D20: an authentic message is admitted once, in the order of arrival, and only then is it delivered`() {
        let pair = VirtualPair()
        pair.connect()
        pair.advance(seconds: 0.1)
        for number in 0..<5 { pair.send(from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: number)) }
        let messages = pair.a.outbox
        var damaged = messages[2]
        damaged.bytes[30] ^= 1
        // A bad tag does not use up the counter of the good message behind it.
        pair.b.runReceive(
            [damaged, messages[3], messages[3], messages[2], messages[2], messages[0]], at: pair.now.boot)
        #expect(pair.b.delivered.dropFirst().map { $0.count - 20 } == [3, 2, 0])
    }

    @Test func `D9: the endpoint follows a response and an initiation, too`() {
        let pair = VirtualPair(endpointOfA: true)
        let moved = Endpoint("203.0.113.5:5")!
        pair.b.address = moved
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        pair.b.runReceive(pair.a.outbox, at: pair.now.boot)
        pair.b.runControl(at: pair.now)
        pair.a.outbox = []
        #expect(pair.b.outbox.map(\.kind) == [.response])
        pair.a.runReceive(pair.b.outbox, at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        #expect(pair.a.peer(pair.b.publicKey).pointee.path?.endpoint == moved)
    }
}
