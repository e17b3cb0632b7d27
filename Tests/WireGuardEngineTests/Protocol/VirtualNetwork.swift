import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

/// Two devices that are each other's only peer, a perfect wire between them, and a clock that tests turn.
final class VirtualPair {
    var now: Moment
    let a: VirtualDevice
    let b: VirtualDevice
    /// Everything that was ever on the wire, with the time in nanoseconds.
    var history: [(time: UInt64, datagram: Datagram)] = []
    /// Datagrams for which this is false are lost.
    var passes: (Datagram) -> Bool = { _ in true }

    static let addressA = Endpoint("192.0.2.1:1000")!
    static let addressB = Endpoint("192.0.2.2:2000")!

    init(presharedKey: PresharedKey? = nil, keepaliveA: UInt16 = 0, endpointOfA: Bool = false, up: Bool = true) {
        now = Moment(
            boot: BootTime(nanoseconds: 1_000_000_000_000), wall: WallTime(seconds: 1_700_000_000, nanoseconds: 0))
        a = VirtualDevice(privateKey: .generate(), address: VirtualPair.addressA)
        b = VirtualDevice(privateKey: .generate(), address: VirtualPair.addressB)
        a.apply(
            VirtualPair.change(
                a, peer: b.publicKey, endpoint: VirtualPair.addressB, allowed: ["10.0.0.2/32", "fd00::2/128"],
                presharedKey,
                keepalive: keepaliveA), at: now)
        b.apply(
            VirtualPair.change(
                b, peer: a.publicKey, endpoint: endpointOfA ? VirtualPair.addressA : nil,
                allowed: ["10.0.0.1/32", "fd00::1/128"], presharedKey, keepalive: 0), at: now)
        if up {
            a.device.setUp(true, at: now)
            b.device.setUp(true, at: now)
        }
    }

    static func change(
        _ device: VirtualDevice, peer: PublicKey, endpoint: Endpoint?, allowed: [String], _ presharedKey: PresharedKey?,
        keepalive: UInt16
    ) -> DeviceChange {
        var change = DeviceChange()
        change.privateKey = .set(device.privateKey)
        var peerChange = PeerChange(publicKey: peer)
        peerChange.endpoint = endpoint
        peerChange.presharedKey = presharedKey.map { .set($0) }
        peerChange.persistentKeepaliveSeconds = keepalive
        peerChange.allowedIPs = allowed.map { .add(IPPrefix($0)!) }
        change.peers = [peerChange]
        return change
    }

    func advance(seconds: Double) {
        let nanoseconds = UInt64(seconds * 1e9)
        now.boot = now.boot.advanced(byNanoseconds: nanoseconds)
        let sum = UInt64(now.wall.nanoseconds) + nanoseconds
        now.wall.seconds += Int64(sum / 1_000_000_000)
        now.wall.nanoseconds = UInt32(sum % 1_000_000_000)
    }

    /// Lets all roles run, and datagrams travel without delay, until nothing is on its way.
    func settle() {
        for _ in 0..<100 {
            for device in [a, b] {
                device.runControl(at: now)
                device.runTransmit(at: now.boot)
                device.runControl(at: now)
            }
            let moving = a.outbox + b.outbox
            a.outbox = []
            b.outbox = []
            if moving.isEmpty { return }
            for datagram in moving {
                history.append((now.boot.nanoseconds, datagram))
                guard passes(datagram) else { continue }
                for device in [a, b] where device.address == datagram.destination {
                    device.runReceive([datagram], at: now.boot)
                }
            }
        }
    }

    /// Time passes in steps to each deadline; everything settles at each of them.
    func run(seconds: Double) {
        let end = now.boot.advanced(byNanoseconds: UInt64(seconds * 1e9))
        while true {
            settle()
            let deadlines = [a, b].compactMap { $0.device.nextDeadline(after: now.boot) }
            guard let next = deadlines.min(), next < end else { break }
            advance(seconds: Double(max(next.since(now.boot), 1)) / 1e9)
        }
        advance(seconds: Double(end.since(now.boot)) / 1e9)
        settle()
    }

    func send(from device: VirtualDevice, _ packet: [UInt8]? = nil) {
        let packet =
            packet
            ?? (device === a
                ? Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2") : Packet.ipv4(from: "10.0.0.2", to: "10.0.0.1"))
        device.runTransmit([packet], at: now.boot)
    }

    /// A first packet through; both sides have a confirmed session afterwards.
    func connect() {
        send(from: a)
        settle()
    }

    func sent(_ kind: Message.Kind, from device: VirtualDevice) -> [(time: UInt64, datagram: Datagram)] {
        history.filter { $0.datagram.kind == kind && $0.datagram.source == device.address }
    }
}

/// Inner packets.
enum Packet {
    static func ipv4(from source: String, to destination: String, payload: Int = 8, trafficClass: UInt8 = 0) -> [UInt8]
    {
        let total = 20 + payload
        var packet: [UInt8] = [0x45, trafficClass, UInt8(total >> 8), UInt8(total & 255), 0, 0, 0, 0, 64, 17, 0, 0]
        packet += IPAddress(source)!.bytes + IPAddress(destination)!.bytes
        packet += (0..<payload).map { UInt8($0 & 255) }
        packet.withUnsafeMutableBytes { InternetChecksum.fillIPv4Header($0.baseAddress!, 20) }
        return packet
    }

    static func ipv6(from source: String, to destination: String, payload: Int = 8) -> [UInt8] {
        var packet: [UInt8] = [0x60, 0, 0, 0, UInt8(payload >> 8), UInt8(payload & 255), 17, 64]
        packet += IPAddress(source)!.bytes + IPAddress(destination)!.bytes
        packet += (0..<payload).map { UInt8($0 & 255) }
        return packet
    }
}
