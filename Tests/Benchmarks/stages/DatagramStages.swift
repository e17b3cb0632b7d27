import Glibc
import IPAddressing
import LinuxSystem

@testable import WireGuardEngine

/// A train of datagrams sent and received again over the loopback interface, and one alone: the kernel's part is in
/// the nanoseconds, ours alone in the instructions.
func datagramStages() -> [Stage] {
    [(44, 1_452), (1, 96)].map { count, length in
        Stage(name: "udp-send-and-receive-\(count)x\(length)", unitsPerRun: count) {
            guard let loopback = DatagramLoop(count, length) else { fatalError("no UDP sockets") }
            return { loopback.sendAndReceive() }
        }
    }
}

private final class DatagramLoop {
    private let sockets: UDPSocketPair
    private let bytes: UnsafeMutableRawPointer
    private let count: Int
    private let length: Int
    private let path: DatagramPath
    private var sender: DatagramSender
    private var receiver: DatagramReceiver

    init?(_ count: Int, _ length: Int) {
        guard let sockets = try? UDPSocketPair.open(port: 0, mark: 0),
            let buffers = try? PageRegion(byteCount: DatagramReceiver.regionBytes)
        else { return nil }
        self.count = count
        self.length = length
        bytes = .allocate(byteCount: count * length, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 4, count: count * length)
        path = DatagramPath(Endpoint(address: .v4(IPv4Address(127, 0, 0, 1)), port: sockets.port))
        sender = DatagramSender(ipv4: sockets.ipv4, ipv6: sockets.ipv6)
        receiver = DatagramReceiver(buffers: buffers)
        self.sockets = sockets
    }

    func sendAndReceive() {
        let outcome = sender.send(bytes, count * length, segmentBytes: length, to: path, trafficClass: 0)
        precondition(outcome.sentBytes == count * length)
        var received = 0
        while received < count * length {
            let messages = receiver.receive(sockets.ipv4)
            for index in 0..<messages { received += receiver.message(index)?.byteCount ?? 0 }
        }
    }
}
