import CLinux
import Glibc
import IPAddressing
import LinuxSystem

@testable import WireGuardEngine

/// A UDP socket between two ends: it passes on what it gets, or keeps the data messages of one of them, so that a test
/// may change them and send them on in any shape.
final class Interceptor {
    private let socket: UDPSocketPair
    private var sender: DatagramSender
    /// Towards whom; the first is known by its configuration, both by their ports.
    private let ends: (Endpoint, Endpoint)
    /// Data messages from the first end are kept here instead of being passed on.
    var keeps = false
    private(set) var kept: [[UInt8]] = []

    init(between first: Endpoint, and second: Endpoint) throws {
        socket = try UDPSocketPair.open(port: 0, mark: 0)
        // Datagrams one by one.
        var off: Int32 = 0
        setsockopt(socket.ipv4, Int32(IPPROTO_UDP), UDP_GRO, &off, socklen_t(MemoryLayout<Int32>.size))
        sender = DatagramSender(ipv4: socket.ipv4, ipv6: socket.ipv6)
        ends = (first, second)
    }

    var address: Endpoint { Endpoint(address: .v4(IPv4Address(rawValue: 0x7f00_0001)), port: socket.port) }

    /// Passes on whatever has come.
    func run() {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            var source = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = buffer.withUnsafeMutableBytes { room in
                withUnsafeMutablePointer(to: &source) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(
                            socket.ipv4, room.baseAddress, room.count, Int32(MSG_DONTWAIT),
                            __SOCKADDR_ARG(__sockaddr__: $0), &size)
                    }
                }
            }
            if count < 0 { return }
            let isFromFirst = UInt16(bigEndian: source.sin_port) == ends.0.port
            let bytes = Array(buffer[..<count])
            if isFromFirst, keeps, bytes.first == 4 {
                kept.append(bytes)
            } else {
                send(bytes, to: isFromFirst ? ends.1 : ends.0)
            }
        }
    }

    /// To the second end, as one train of datagrams of `segmentBytes`.
    func send(train bytes: [UInt8], segmentBytes: Int, trafficClass: UInt8 = 0) {
        send(bytes, to: ends.1, segmentBytes: segmentBytes, trafficClass: trafficClass)
    }

    private func send(_ bytes: [UInt8], to end: Endpoint, segmentBytes: Int? = nil, trafficClass: UInt8 = 0) {
        var bytes = bytes
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            _ = sender.send(
                base, buffer.count, segmentBytes: segmentBytes ?? buffer.count, to: DatagramPath(end),
                trafficClass: trafficClass)
        }
    }
}
