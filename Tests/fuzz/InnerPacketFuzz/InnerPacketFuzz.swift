import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// libFuzzer's entry for packets inside the tunnel: what a peer sent after its tag verified, and what a program
/// in the namespace hands to the TUN. Whatever enters is no longer than it was, and has an address of its peer.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzInnerPacket(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    FuzzedTunnel.shared.take(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}

private final class FuzzedTunnel {
    nonisolated(unsafe) static let shared = FuzzedTunnel()

    private let device: Device
    private let receiver: Receiver
    private var transmitter: Transmitter
    private let peer: PeerPointer
    private let now = Moment(
        boot: BootTime(nanoseconds: 1 << 40), wall: WallTime(seconds: 1_700_000_000, nanoseconds: 0))

    private init() {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: SurvivorTable.byteCount(rows: 4), alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        device = Device(survivors: SurvivorTable(memory: memory), random: .system)
        receiver = Receiver(device: device.record)
        transmitter = Transmitter(device: device.record, jitterSeed: 1)
        let key = PrivateKey.generate().publicKey
        var change = DeviceChange()
        change.privateKey = .set(.generate())
        var peerChange = PeerChange(publicKey: key)
        peerChange.endpoint = Endpoint("192.0.2.1:1")
        peerChange.allowedIPs = ["0.0.0.0/1", "::/1"].compactMap { IPPrefix($0).map { .add($0) } }
        change.peers = [peerChange]
        try? device.apply(change, at: now)
        device.setUp(true, at: now)
        guard let peer = device.peerByKey[key] else { preconditionFailure("no peer") }
        self.peer = peer
    }

    func take(_ packet: UnsafeRawBufferPointer) {
        switch receiver.mayEnter(packet, from: peer) {
        case .packet(let byteCount, let isIPv6):
            precondition(byteCount <= packet.count && byteCount >= (isIPv6 ? 40 : 20))
            precondition(packet[isIPv6 ? 8 : 12] < 128, "an address that is not the peer's")
        case .keepalive: precondition(packet.count == 0)
        case .refused: break
        }
        guard let base = packet.baseAddress, let inner = InnerPacket(base, packet.count) else { return }
        if case .peer(let found, _) = transmitter.destination(of: base, isIPv6: inner.isIPv6) {
            precondition(found == peer)
            transmitter.stage(found, packet)
            precondition(peer.pointee.staged.count <= ProtocolLimits.maximumStagedPackets + 1)
        }
        let padding = Padding.bytes(after: packet.count, mtu: Int(packet[0]) * 8)
        precondition((0..<16).contains(padding))
    }
}
