import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct TrainSendingTests {
    /// `count` datagrams of `size` bytes, each full of its own number.
    private func train(_ count: Int, _ size: Int) -> [UInt8] {
        (0..<count).flatMap { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: size) }
    }

    private func send(_ sender: inout DatagramSender, _ bytes: [UInt8], _ size: Int, to endpoint: Endpoint)
        -> SendOutcome
    {
        var bytes = bytes
        return bytes.withUnsafeMutableBytes {
            sender.send($0.baseAddress!, $0.count, segmentBytes: size, to: DatagramPath(endpoint), trafficClass: 0)
        }
    }

    @Test func `D15: a train is one message, and a long one is cut at the limit of the kernel`() throws {
        var target = try TestSocket()
        let source = try TestSocket()
        var sender = DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1)
        let outcome = send(&sender, train(200, 100), 100, to: target.endpoint)
        #expect(outcome.error == 0 && outcome.sentBytes == 20_000)
        let limit = sender.segmentLimit
        let wanted = (200 + limit - 1) / limit
        let messages = target.take(atLeast: wanted)
        #expect(messages.count == wanted)
        #expect(messages.allSatisfy { $0.segmentBytes == 100 && $0.bytes.count <= 100 * limit })
        #expect(messages.flatMap(\.bytes) == train(200, 100))
    }

    /// To every kernel a train of 300 is too long, as one of 128 is to Linux 6.8.
    @Test func `D15: a kernel that takes shorter trains gets 64 datagrams in each, and is not tried again`() throws {
        var target = try TestSocket()
        let source = try TestSocket()
        var sender = DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1, segmentLimit: 1000)
        for _ in 0..<2 {
            let outcome = send(&sender, train(300, 100), 100, to: target.endpoint)
            #expect(outcome.error == 0 && outcome.sentBytes == 30_000)
            #expect(sender.segmentLimit == 64)
            let messages = target.take(atLeast: 5)
            #expect(messages.map(\.bytes.count) == [6400, 6400, 6400, 6400, 4400])
            #expect(messages.flatMap(\.bytes) == train(300, 100))
        }
    }

    /// A socket without checksums refuses segmentation with EINVAL, as a path does that is too narrow.
    @Test func `D15: a path that refuses trains gets the same bytes one by one, each once, and is remembered`() throws {
        var target = try TestSocket()
        let source = try TestSocket()
        var sender = DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1)
        var off: Int32 = 1
        setsockopt(source.descriptor.rawValue, SOL_SOCKET, SO_NO_CHECK, &off, 4)
        let outcome = send(&sender, train(5, 64), 64, to: target.endpoint)
        #expect(outcome.error == 0 && outcome.sentBytes == 320)
        let messages = target.take(atLeast: 5)
        #expect(messages.map(\.bytes) == (0..<5).map { [UInt8](repeating: $0, count: 64) })
        // The cause is gone, but for a minute this path is not tried again; another is.
        off = 0
        setsockopt(source.descriptor.rawValue, SOL_SOCKET, SO_NO_CHECK, &off, 4)
        _ = send(&sender, train(3, 64), 64, to: target.endpoint)
        let came1 = target.take(atLeast: 3)
        #expect(came1.count == 3)
        var other = try TestSocket()
        _ = send(&sender, train(3, 64), 64, to: other.endpoint)
        let came2 = other.take()
        #expect(came2.map(\.segmentBytes) == [64])
        // New sockets learn anew.
        sender.forgetRefusals()
        _ = send(&sender, train(3, 64), 64, to: target.endpoint)
        let came3 = target.take()
        #expect(came3.map(\.segmentBytes) == [64])
    }

    @Test func `D15: a full queue is waited for a moment, and then the rest of the train is dropped and told`() throws {
        var pair: [Int32] = [0, 0]
        // A socket whose queue nobody empties stands in for a path that is full.
        try #require(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pair) == 0)
        let near = FileDescriptor(owning: pair[0])
        let far = FileDescriptor(owning: pair[1])
        var byte: UInt8 = 0
        while Glibc.send(near.rawValue, &byte, 1, Int32(MSG_DONTWAIT)) == 1 {}
        let target = try TestSocket()
        var sender = DatagramSender(ipv4: near.rawValue, ipv6: -1)
        // On a busy machine it may be another program's turn meanwhile, but not every time.
        let waits = (0..<5).map { _ in
            let start = BootTime.now
            let outcome = send(&sender, train(3, 64), 64, to: target.endpoint)
            #expect(outcome.sentBytes == 0 && outcome.error != 0)
            return BootTime.now.since(start)
        }
        #expect(waits.contains { $0 < 500_000_000 }, "\(waits)")
        let stillOpen = far.rawValue >= 0
        #expect(stillOpen)
    }

    // MARK: what goes into one train

    @Test func `D16: one train has one traffic class and one size but for a shorter last, of one peer and path`() throws
    {
        var target = try TestSocket()
        let source = try TestSocket()
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        let path = DatagramPath(target.endpoint)
        var transmitter = Transmitter(device: pair.a.device.record, jitterSeed: 1)
        var batch = OutgoingBatch(
            arena: try PageRegion(byteCount: OutgoingBatch.arenaBytes),
            sender: DatagramSender(ipv4: source.descriptor.rawValue, ipv6: -1))
        // Text bytes and outer traffic class; all are multiples of 16, so nothing is padded.
        let packets: [(Int, UInt8)] = [
            (160, 0), (160, 0), (160, 0), (160, 2), (160, 2), (320, 2), (320, 2), (48, 2), (320, 2), (64, 1), (160, 1),
        ]
        for (textBytes, trafficClass) in packets {
            memset(batch.nextText, Int32(textBytes & 255), textBytes)
            batch.append(textBytes: textBytes, mtu: 1420, peer: peer, path: path, trafficClass: trafficClass)
        }
        var elsewhere = path
        elsewhere.setSourceForTest(0x7f00_0001)
        for where_ in [path, elsewhere] {
            memset(batch.nextText, 1, 160)
            batch.append(textBytes: 160, mtu: 1420, peer: peer, path: where_, trafficClass: 1)
        }
        let first = peer.current!.counter
        batch.dispatch(&transmitter, now: pair.now.boot)
        let messages = target.take(atLeast: 7)
        #expect(
            messages.map { [$0.bytes.count, $0.segmentBytes, Int($0.trafficClass)] } == [
                [3 * 192, 192, 0], [2 * 192, 192, 2], [2 * 352 + 80, 352, 2], [352, 352, 2], [96, 96, 1],
                [2 * 192, 192, 1], [192, 192, 1],
            ])
        // Consecutive nonces in the order of the packets, whatever the trains.
        var counters: [UInt64] = []
        for message in messages {
            for offset in stride(from: 0, to: message.bytes.count, by: message.segmentBytes) {
                message.bytes.withUnsafeBytes {
                    counters.append(Message.dataHeader($0.baseAddress! + offset).counter)
                }
            }
        }
        #expect(counters == (0..<13).map { first + $0 })
    }
}

extension DatagramPath {
    fileprivate mutating func setSourceForTest(_ address: UInt64) {
        sourceLow = address
        hasSource = true
    }
}
