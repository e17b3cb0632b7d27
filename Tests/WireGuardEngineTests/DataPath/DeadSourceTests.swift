import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardModel

@testable import WireGuardEngine

/// A cached source address that this machine has no more.
@Suite struct DeadSourceTests {
    /// 192.0.2.77, from the block for documentation.
    private static func dead(_ endpoint: Endpoint) -> DatagramPath {
        var path = DatagramPath(endpoint)
        path.sourceLow = 0xc000_024d
        path.hasSource = true
        return path
    }

    private func send(_ sender: inout DatagramSender, _ count: Int, to path: DatagramPath) -> SendOutcome {
        var bytes = (0..<count).flatMap { [UInt8](repeating: UInt8($0), count: 80) }
        return bytes.withUnsafeMutableBytes {
            sender.send($0.baseAddress!, $0.count, segmentBytes: 80, to: path, trafficClass: 0)
        }
    }

    @Test(arguments: [1, 5]) func `D8b: what a dead source kept from going goes without it, and it is told`(
        _ count: Int
    ) throws {
        var target = try TestSocket()
        let source = try TestSocket()
        var sender = DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1)
        let outcome = send(&sender, count, to: DeadSourceTests.dead(target.endpoint))
        #expect(outcome.sourceIsGone && outcome.error == 0 && outcome.sentBytes == 80 * count)
        let messages = target.take()
        #expect(messages.map { [$0.bytes.count, $0.segmentBytes] } == [[80 * count, 80]], "as one train")
        let second = send(&sender, count, to: DatagramPath(target.endpoint))
        #expect(!second.sourceIsGone && second.error == 0)
    }

    @Test func `D8b: on a path without trains, too, and only the first datagram has to find it out`() throws {
        var target = try TestSocket()
        let source = try TestSocket()
        var sender = DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1)
        var off: Int32 = 1
        setsockopt(source.descriptor.rawValue, SOL_SOCKET, SO_NO_CHECK, &off, 4)
        _ = send(&sender, 3, to: DatagramPath(target.endpoint))
        let first = target.take(atLeast: 3)
        #expect(first.count == 3)
        let outcome = send(&sender, 3, to: DeadSourceTests.dead(target.endpoint))
        #expect(outcome.sourceIsGone && outcome.error == 0 && outcome.sentBytes == 240)
        let second = target.take(atLeast: 3)
        #expect(second.map(\.bytes) == (0..<3).map { [UInt8](repeating: $0, count: 80) })
    }

    @Test func `D8b: over IPv6, where the kernel says EINVAL`() throws {
        let pair = try UDPSocketPair.open(port: 0, mark: 0)
        guard pair.ipv6 >= 0 else { return }
        var path = DatagramPath(Endpoint("[::1]:\(pair.port)")!)
        var sender = DatagramSender(ipv4: pair.ipv4, ipv6: pair.ipv6)
        // A machine may have the family and no address of it.
        guard send(&sender, 1, to: path).error == 0 else { return }
        (path.sourceHigh, path.sourceLow, path.hasSource) = (0x2001_0db8_0000_0000, 77, true)
        for count in [1, 4] {
            let outcome = send(&sender, count, to: path)
            #expect(outcome.sourceIsGone && outcome.error == 0 && outcome.sentBytes == 80 * count)
        }
    }

    @Test func `D8b: a source that is fine stays, whatever else fails`() throws {
        let source = try TestSocket()
        var sender = DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1)
        var path = DatagramPath(Endpoint("127.0.0.1:9")!)
        (path.sourceLow, path.hasSource) = (0x7f00_0001, true)
        // Larger than any datagram.
        var bytes = [UInt8](repeating: 0, count: 65508)
        let outcome = bytes.withUnsafeMutableBytes {
            sender.send($0.baseAddress!, $0.count, segmentBytes: $0.count, to: path, trafficClass: 0)
        }
        #expect(outcome.error == EMSGSIZE && !outcome.sourceIsGone && outcome.sentBytes == 0)
    }

    @Test func `D8b: the peer forgets the source, so that the next packet does not try it again`() throws {
        var target = try TestSocket()
        let source = try TestSocket()
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        let path = DeadSourceTests.dead(target.endpoint)
        peer.pointee.setPath(path)
        var transmitter = Transmitter(device: pair.a.device.record, jitterSeed: 1)
        var batch = OutgoingBatch(
            arena: try PageRegion(byteCount: OutgoingBatch.arenaBytes),
            sender: DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1))
        memset(batch.nextText, 1, 64)
        batch.append(textBytes: 64, mtu: 1420, peer: peer, path: path, trafficClass: 0)
        batch.dispatch(&transmitter, now: pair.now.boot)
        let messages = target.take()
        #expect(messages.count == 1)
        #expect(peer.pointee.path == DatagramPath(target.endpoint))
    }
}
