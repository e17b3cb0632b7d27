import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// libFuzzer's entry for datagrams from the network: through rx and control as they are, and nothing may come of them.
///
/// The first byte says whether the device is under load and whether a good mac1 is put on, so that the fuzzer gets
/// past it. Messages of all four types reach the code that reads them; none of the fuzzer's can be authentic.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDatagram(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 1 else { return 0 }
    nonisolated(unsafe) let target = FuzzedDevice.shared
    target.receive(UnsafeRawBufferPointer(start: start + 1, count: count - 1), options: start[0])
    return 0
}

private final class FuzzedDevice {
    nonisolated(unsafe) static let shared = FuzzedDevice()

    private let device: Device
    private var receiver: Receiver
    private let publicKey: PublicKey
    private var now = Moment(
        boot: BootTime(nanoseconds: 1 << 40), wall: WallTime(seconds: 1_700_000_000, nanoseconds: 0))

    private init() {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: SurvivorTable.byteCount(rows: 4), alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        device = Device(survivors: SurvivorTable(memory: memory), random: .system)
        receiver = Receiver(device: device.record)
        let key = PrivateKey.generate()
        publicKey = key.publicKey
        var change = DeviceChange()
        change.privateKey = .set(key)
        var peer = PeerChange(publicKey: PrivateKey.generate().publicKey)
        peer.endpoint = Endpoint("192.0.2.1:1")
        peer.persistentKeepaliveSeconds = 1
        peer.allowedIPs = [.add(.everythingIPv4), .add(.everythingIPv6)]
        change.peers = [peer]
        try? device.apply(change, at: now)
        device.setUp(true, at: now)
    }

    func receive(_ input: UnsafeRawBufferPointer, options: UInt8) {
        var datagram = Array(input)
        if options & 1 != 0 { putMAC1(on: &datagram) }
        if options & 2 != 0 { _ = device.load.isUnderLoad(queued: LoadGauge.threshold, at: now.boot) }
        now.boot = now.boot.advanced(byNanoseconds: UInt64(options >> 2) * 50_000_000)
        let path = DatagramPath(Endpoint(address: .v4(IPv4Address(rawValue: UInt32(options))), port: 7))
        device.record.pointee.loops.pointee.wakesUp(.receive)
        datagram.withUnsafeBytes { bytes in
            switch Message.kind(bytes) {
            case .initiation, .response, .cookieReply: receiver.enqueueHandshake(bytes, path: path)
            case .data:
                guard let base = bytes.baseAddress else { return }
                let header = Message.dataHeader(base)
                precondition(receiver.keypair(header.receiver, now: now.boot) == nil, "a session out of nothing")
            case nil: break
            }
        }
        device.record.pointee.loops.pointee.fallsAsleep(.receive)
        _ = receiver.takeWakes()
        device.collectMail(at: now)
        while device.handleHandshake(at: now) {}
        device.expireTimers(at: now)
        for message in device.takeOutgoing() {
            precondition(message.withBytes { Message.kind($0) } != .response, "an answer to a stranger")
        }
        device.reclaim()
    }

    private func putMAC1(on datagram: inout [UInt8]) {
        let offset = datagram.count - Message.macsByteCount
        guard offset > 0 else { return }
        let head = Array(datagram[..<offset])
        datagram.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            DerivedKeys.withKey(.mac1, of: publicKey) { key in
                head.withUnsafeBytes { BLAKE2s.mac(key: key, $0, into: base + offset) }
            }
        }
    }
}
