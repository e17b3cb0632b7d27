import CLinux
import Glibc
import IPAddressing
import LinuxSystem

@testable import WireGuardEngine

/// A socket on the loopback that shows trains as they were sent: one GSO train of the sender is one message.
struct TestSocket: ~Copyable {
    struct Message: Equatable {
        var bytes: [UInt8]
        var segmentBytes: Int
        var trafficClass: UInt8
        var path: DatagramPath
    }

    let descriptor: FileDescriptor
    private var receiver: DatagramReceiver

    init() throws {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = FileDescriptor(owning: try systemCall("socket") { socket(AF_INET, type, 0) })
        try TestSocket.configure(descriptor.rawValue)
        let buffers = try PageRegion(byteCount: DatagramReceiver.regionBytes)
        self.descriptor = descriptor
        receiver = DatagramReceiver(buffers: buffers)
    }

    private static func configure(_ place: Int32) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        try systemCall("bind") { withSocketAddress(&address) { bind(place, $0, $1) } }
        var on: Int32 = 1
        setsockopt(place, Int32(IPPROTO_IP), IP_RECVTOS, &on, 4)
        setsockopt(place, Int32(IPPROTO_IP), IP_PKTINFO, &on, 4)
        setsockopt(place, Int32(IPPROTO_UDP), UDP_GRO, &on, 4)
        var size: Int32 = 4 << 20
        if setsockopt(place, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4) != 0 {
            setsockopt(place, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
    }

    var endpoint: Endpoint {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor.rawValue, __SOCKADDR_ARG(__sockaddr__: $0), &size)
            }
        }
        return Endpoint(address: .v4(IPv4Address(127, 0, 0, 1)), port: UInt16(bigEndian: address.sin_port))
    }

    /// All that has come, waiting for at least `atLeast` messages, at most twenty seconds.
    mutating func take(atLeast wanted: Int = 1) -> [Message] {
        var messages: [Message] = []
        let limit = BootTime.now.advanced(byNanoseconds: 20_000_000_000)
        while messages.count < wanted, BootTime.now < limit {
            let count = receiver.receive(descriptor.rawValue)
            for index in 0..<count {
                guard let message = receiver.message(index) else { continue }
                messages.append(
                    Message(
                        bytes: Array(UnsafeRawBufferPointer(start: message.bytes, count: message.byteCount)),
                        segmentBytes: message.segmentBytes, trafficClass: message.trafficClass, path: message.path))
            }
            if count == 0 { usleep(1000) }
        }
        return messages
    }
}
