import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Testing

@testable import WireGuardEngine

/// Trains over sockets that refuse them: the same bytes go again, one by one.
@Suite struct DatagramSenderTests {
    private static let segmentBytes = 700

    /// A sending and a receiving socket of one kind on this machine, and the path from one to the other.
    private final class Wire {
        let source: Int32
        let target: Int32
        var path: DatagramPath

        init?(protocol number: Int32) {
            let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            source = socket(AF_INET, type, number)
            target = socket(AF_INET, type, number)
            path = DatagramPath(Endpoint(address: .v4(IPv4Address(rawValue: 0x7f00_0001)), port: 0))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let target = target
            guard source >= 0, target >= 0, withSocketAddress(&address, { Glibc.bind(target, $0, $1) }) == 0 else {
                return nil
            }
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = getsockname(target, __SOCKADDR_ARG(__sockaddr__: $0), &size)
                }
            }
            path.port = UInt16(bigEndian: address.sin_port)
        }

        deinit {
            for number in [source, target] where number >= 0 { close(number) }
        }

        func received() -> [[UInt8]] {
            var datagrams: [[UInt8]] = []
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = buffer.withUnsafeMutableBytes { recv(target, $0.baseAddress, $0.count, 0) }
                if count < 0 { return datagrams }
                datagrams.append(Array(buffer[..<count]))
            }
        }
    }

    /// Sends a train of eleven datagrams, the last shorter; how it went.
    private static func send(_ sender: inout DatagramSender, _ wire: Wire, seed: Int) -> SendOutcome {
        var bytes = train(seed)
        return bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return SendOutcome() }
            return sender.send(base, buffer.count, segmentBytes: segmentBytes, to: wire.path, trafficClass: 0)
        }
    }

    private static func train(_ seed: Int) -> [UInt8] {
        (0..<(10 * segmentBytes + 33)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8 &+ seed) }
    }

    private static func datagrams(_ seed: Int) -> [[UInt8]] {
        let bytes = train(seed)
        return stride(from: 0, to: bytes.count, by: segmentBytes).map {
            Array(bytes[$0..<min($0 + segmentBytes, bytes.count)])
        }
    }

    private func expectDelivery(_ wire: Wire) {
        var sender = DatagramSender(ipv4: wire.source, ipv6: -1)
        for seed in 0..<3 {
            let outcome = DatagramSenderTests.send(&sender, wire, seed: seed)
            #expect(outcome.sentBytes == DatagramSenderTests.train(seed).count)
            #expect(outcome.error == 0)
            #expect(wire.received() == DatagramSenderTests.datagrams(seed))
        }
    }

    @Test func `D16: a train arrives as its datagrams`() throws { expectDelivery(try #require(Wire(protocol: 0))) }

    @Test func `D15: EINVAL, no segmentation on this path: the train is sent again, one by one`() throws {
        let wire = try #require(Wire(protocol: 0))
        // Segmentation wants checksums.
        var on: Int32 = 1
        setsockopt(wire.source, SOL_SOCKET, SO_NO_CHECK, &on, socklen_t(MemoryLayout<Int32>.size))
        expectDelivery(wire)
    }

    @Test func `D15: EIO, no segmentation on this socket: the train is sent again, one by one`() throws {
        // UDP-Lite knows no segmentation, and says so as IPsec does.
        guard let wire = Wire(protocol: Int32(IPPROTO_UDPLITE)) else { return }
        expectDelivery(wire)
    }

    @Test func `a small socket buffer: a train arrives all the same`() throws {
        let wire = try #require(Wire(protocol: 0))
        var bytes: Int32 = 1
        setsockopt(wire.source, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        expectDelivery(wire)
    }

    /// What a datagram to a port where nobody listens left behind: ECONNREFUSED for the next call.
    private static func refuse(_ wire: Wire, at port: UInt16) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = port.bigEndian
        let source = wire.source
        _ = withSocketAddress(&address) { connect(source, $0, $1) }
        _ = Glibc.send(source, "x", 1, 0)
        // The answer is there when send returns, on the loopback; on a busy machine soon after.
        var entry = pollfd(fd: source, events: 0, revents: 0)
        _ = poll(&entry, 1, 1000)
        #expect(entry.revents & Int16(POLLERR) != 0)
    }

    /// A port that was free a moment ago.
    private static func freePort() throws -> UInt16 { try UDPSocketPair.open(port: 0, mark: 0).port }

    @Test func `ECONNREFUSED is the fate of an earlier datagram: this train is sent all the same`() throws {
        let wire = try #require(Wire(protocol: 0))
        DatagramSenderTests.refuse(wire, at: try DatagramSenderTests.freePort())
        var sender = DatagramSender(ipv4: wire.source, ipv6: -1)
        let outcome = DatagramSenderTests.send(&sender, wire, seed: 4)
        #expect(outcome.error == 0 && outcome.sentBytes == DatagramSenderTests.train(4).count)
        #expect(wire.received() == DatagramSenderTests.datagrams(4))
    }

    @Test func `ECONNREFUSED ends no batch: what waits behind it is received`() throws {
        let wire = try #require(Wire(protocol: 0))
        let port = try DatagramSenderTests.freePort()
        DatagramSenderTests.refuse(wire, at: port)
        // Somebody listens there now, and answers.
        let other = try UDPSocketPair.open(port: port, mark: 0)
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(wire.source, __SOCKADDR_ARG(__sockaddr__: $0), &size)
            }
        }
        let number = other.ipv4
        _ = withSocketAddress(&address) { sendto(number, "answer", 6, 0, $0, $1) }
        var receiver = DatagramReceiver(buffers: try PageRegion(byteCount: DatagramReceiver.regionBytes))
        let count = receiver.receive(wire.source)
        let message = count == 1 ? receiver.message(0) : nil
        #expect(message?.byteCount == 6)
    }
}
