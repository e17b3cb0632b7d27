import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto

@testable import WireGuardEngine

/// What leaves the batch, opened as the other side opens it.
@Suite struct OutgoingBatchTests {
    /// A session, and a batch of its initiator that sends to a socket of the test's.
    private struct Fixture: ~Copyable {
        let pair = VirtualPair()
        let peer: PeerPointer
        let path: DatagramPath
        let source: TestSocket
        var target: TestSocket
        var transmitter: Transmitter
        var batch: OutgoingBatch
        /// The nonces of what `texts` has opened.
        var counters: [UInt64] = []

        init() throws {
            let source = try TestSocket()
            let target = try TestSocket()
            let arena = try PageRegion(byteCount: OutgoingBatch.arenaBytes)
            pair.connect()
            peer = pair.a.peer(pair.b.publicKey)
            path = DatagramPath(target.endpoint)
            peer.pointee.setPath(path)
            transmitter = Transmitter(device: pair.a.device.record, jitterSeed: 1)
            batch = OutgoingBatch(
                arena: arena, sender: DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1))
            self.source = source
            self.target = target
        }

        mutating func append(_ byte: Int32, _ textBytes: Int, mtu: Int = 1420) {
            memset(batch.nextText, byte, textBytes)
            batch.append(textBytes: textBytes, mtu: mtu, peer: peer, path: path, trafficClass: 0)
        }

        mutating func dispatch() { batch.dispatch(&transmitter, now: pair.now.boot) }

        mutating func stage(_ packet: [UInt8]) { packet.withUnsafeBytes { transmitter.stage(peer, $0) } }

        /// The texts of `count` datagrams, padding included.
        mutating func texts(_ count: Int) -> [[UInt8]] {
            let receiver = pair.b.peer(pair.a.publicKey).current!
            var texts: [[UInt8]] = []
            while texts.count < count {
                let messages = target.take()
                if messages.isEmpty { break }
                for message in messages {
                    for offset in stride(from: 0, to: message.bytes.count, by: message.segmentBytes) {
                        let end = min(offset + message.segmentBytes, message.bytes.count)
                        let datagram = Array(message.bytes[offset..<end])
                        texts.append(Fixture.open(datagram, receiver))
                        counters.append(datagram.withUnsafeBytes { Message.dataHeader($0.baseAddress!).counter })
                    }
                }
            }
            return texts
        }

        private static func open(_ message: [UInt8], _ keypair: KeypairPointer) -> [UInt8] {
            var text = [UInt8](repeating: 0, count: message.count - 32)
            let isGood = message.withUnsafeBytes { bytes in
                text.withUnsafeMutableBytes { output in
                    let header = Message.dataHeader(bytes.baseAddress!)
                    return ChaCha20Poly1305.open(
                        bytes.part(16, bytes.count - 16), counter: header.counter, authenticating: .empty,
                        key: keypair.pointee.receiveKey.pointer, into: output.baseAddress!)
                }
            }
            return isGood ? text : []
        }
    }

    private func padded(_ byte: UInt8, _ textBytes: Int, _ paddingBytes: Int) -> [UInt8] {
        [UInt8](repeating: byte, count: textBytes) + [UInt8](repeating: 0, count: paddingBytes)
    }

    @Test func `D1: padding is zeros, whatever stood in the memory, up to 16 and the MTU`() throws {
        var fixture = try Fixture()
        // The last packets of the batch before.
        fixture.append(0xff, 6000, mtu: 0)
        fixture.dispatch()
        _ = fixture.texts(1)
        for (textBytes, mtu) in [(1, 1420), (15, 1420), (16, 1420), (17, 1420), (100, 1420), (100, 105), (1419, 1420)] {
            fixture.append(0x5a, textBytes, mtu: mtu)
        }
        fixture.dispatch()
        let texts = fixture.texts(7)
        #expect(
            texts == [
                padded(0x5a, 1, 15), padded(0x5a, 15, 1), padded(0x5a, 16, 0), padded(0x5a, 17, 15),
                padded(0x5a, 100, 12), padded(0x5a, 100, 5), padded(0x5a, 1419, 1),
            ])
    }

    @Test func `D1, D7: what has waited is kept without padding and padded for the MTU of now`() throws {
        var fixture = try Fixture()
        fixture.append(0xff, 6000, mtu: 0)
        fixture.dispatch()
        _ = fixture.texts(1)
        // No key: the batch gives its packets back to the peer.
        let keypair = fixture.peer.current!
        keypair.pointee.maySend.store(false, ordering: .relaxed)
        fixture.append(0x45, 41, mtu: 44)
        fixture.append(0x46, 47, mtu: 44)
        fixture.dispatch()
        #expect(fixture.peer.stagedCount == 2 && fixture.batch.isEmpty)
        keypair.pointee.maySend.store(true, ordering: .relaxed)
        fixture.batch.dispatchStaged(fixture.peer, &fixture.transmitter, mtu: 1420, now: fixture.pair.now.boot)
        let texts = fixture.texts(2)
        #expect(texts == [padded(0x45, 41, 7), padded(0x46, 47, 1)])
        #expect(fixture.peer.stagedCount == 0)
    }

    @Test func `D7: more than a batch holds waits and goes out in its order, with consecutive nonces`() throws {
        var fixture = try Fixture()
        let packets = (0..<129).map { number in
            Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2", payload: 2076, trafficClass: UInt8(number / 64) << 2)
                + [UInt8](repeating: UInt8(number), count: 16)
        }
        for packet in packets { fixture.stage(packet) }
        let first = fixture.peer.current!.counter
        fixture.batch.dispatchStaged(fixture.peer, &fixture.transmitter, mtu: 0, now: fixture.pair.now.boot)
        #expect(fixture.peer.current!.counter == first + 129)
        // 129 packets of 2112 bytes, and what the wire adds: more than 256 KiB.
        let texts = fixture.texts(129)
        let counters = fixture.counters
        #expect(texts == packets && counters == (first..<first + 129).map { $0 })
    }

    @Test func `R1, D11: data that UDP took waits for an answer; a keepalive, and what UDP refused, does not`() throws {
        var fixture = try Fixture()
        let peer = fixture.peer
        func sentBytes() -> UInt64 { peer.pointee.row.pointee.sentBytes.load(ordering: .relaxed) }
        PeerTimers.disarm(peer.pointee.timers.newHandshake)
        let before = sentBytes()
        fixture.stage([])
        fixture.batch.dispatchStaged(peer, &fixture.transmitter, mtu: 1420, now: fixture.pair.now.boot)
        let texts = fixture.texts(1)
        #expect(texts == [[]] && sentBytes() == before + 32 && !peer.isPending(.newHandshake))
        // More than a datagram holds.
        fixture.append(1, 65_500, mtu: 0)
        fixture.dispatch()
        #expect(sentBytes() == before + 32 && !peer.isPending(.newHandshake))
        fixture.append(1, 100)
        fixture.dispatch()
        #expect(sentBytes() == before + 32 + 112 + 32 && peer.isPending(.newHandshake))
    }

    @Test func `D16: no train is longer than a datagram may be`() throws {
        var fixture = try Fixture()
        // 1452 bytes on the wire each: 45 of them are 65340, 46 would be 66792.
        for _ in 0..<50 { fixture.append(7, 1420) }
        fixture.dispatch()
        let messages = fixture.target.take(atLeast: 2)
        #expect(messages.map(\.bytes.count) == [45 * 1452, 5 * 1452])
        // To the byte: 65507 in ten datagrams, then 65508. A train that were too long would be refused, and the path be
        // taken for a narrow one.
        for last in [6494, 6495] {
            for size in [Int](repeating: 6557, count: 9) + [last] { fixture.append(7, size - 32, mtu: size - 32) }
            fixture.dispatch()
            var bytes = 0
            while bytes < 9 * 6557 + last {
                let messages = fixture.target.take()
                if messages.isEmpty { break }
                bytes += messages.reduce(0) { $0 + $1.bytes.count }
            }
            #expect(bytes == 9 * 6557 + last)
        }
        for _ in 0..<3 { fixture.append(7, 64) }
        fixture.dispatch()
        let after = fixture.target.take()
        #expect(after.map(\.bytes.count) == [3 * 96])
    }

    @Test func `D19: the longest datagram is 65507 bytes over IPv4 and 65527 over IPv6`() throws {
        #expect(DatagramSender.trainBytes(isIPv6: false) == 65507 && DatagramSender.trainBytes(isIPv6: true) == 65527)
        let pair = try UDPSocketPair.open(port: 0, mark: 0)
        var sender = DatagramSender(ipv4: pair.ipv4, ipv6: pair.ipv6)
        var bytes = [UInt8](repeating: 0, count: 65528)
        for (address, limit) in [("127.0.0.1", 65507), ("[::1]", 65527)] {
            let path = DatagramPath(Endpoint("\(address):\(pair.port)")!)
            if path.isIPv6, pair.ipv6 < 0 { continue }
            let errors = [1, limit, limit + 1].map { count in
                bytes.withUnsafeMutableBytes {
                    sender.send($0.baseAddress!, count, segmentBytes: count, to: path, trafficClass: 0).error
                }
            }
            // A machine may have the family and no address of it.
            if path.isIPv6, errors[0] != 0 { continue }
            #expect(errors == [0, 0, EMSGSIZE])
        }
    }
}
