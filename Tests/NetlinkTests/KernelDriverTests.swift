import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import Netlink

/// The same code against the real driver; Tests/vm runs these where there is one.
@Suite(.enabled(if: getuid() == 0 && WireGuardNetlink.isAvailable(), "needs root and the kernel's WireGuard"))
struct KernelDriverTests {
    private func wireGuard(in namespace: borrowing NetworkNamespace) throws -> WireGuardNetlink {
        try WireGuardNetlink(
            owning: namespace.openSocket(AF_NETLINK, Int32(SOCK_RAW.rawValue), NetlinkSocket.Bus.generic.rawValue))
    }

    /// Whether a UDP port is free in a namespace.
    private func isPortFree(_ port: UInt16, in namespace: borrowing NetworkNamespace) throws -> Bool {
        let socket = try namespace.openSocket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket.rawValue, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size))
                    == 0
            }
        }
    }

    private func makeChange(peers: Int, allowedIPsEach: Int) throws -> DeviceChange {
        var change = DeviceChange()
        change.privateKey = .set(PrivateKey.generate())
        change.listenPort = 51821
        change.firewallMark = 7
        change.replacePeers = true
        for index in 0..<peers {
            let seed: [UInt8] = littleEndian(UInt64(index)) + Array(repeating: 9, count: 24)
            var peer = PeerChange(publicKey: try #require(PublicKey(bytes: seed)))
            peer.replaceAllowedIPs = true
            peer.persistentKeepaliveSeconds = UInt16(index % 60)
            peer.endpoint = Endpoint(index % 2 == 0 ? "192.0.2.1:\(index + 1)" : "[2001:db8::7]:\(index + 1)")
            if index % 3 == 0 { peer.presharedKey = .set(PresharedKey.generate()) }
            for number in 0..<allowedIPsEach {
                let address = IPAddress.v4(IPv4Address(rawValue: 0x0a00_0000 + UInt32(index * allowedIPsEach + number)))
                peer.allowedIPs.append(.add(try #require(IPPrefix(masking: address, length: 32))))
            }
            change.peers.append(peer)
        }
        return change
    }

    @Test func `P2: the device appears in the target under its final name, its socket in the birthplace`() throws {
        let home = try TestNamespace()
        let target = try TestNamespace()
        try home.route.createWireGuard(name: "wg0", target: target.number, mtu: 1380)
        let link = try #require(try target.route.link(named: "wg0"))
        #expect(link.kind == "wireguard" && link.mtu == 1380 && !link.isUp)
        #expect(try home.route.links().allSatisfy { $0.kind != "wireguard" })
        var change = DeviceChange()
        change.privateKey = .set(PrivateKey.generate())
        change.listenPort = 51820
        try wireGuard(in: target.namespace).apply(change, to: "wg0")
        try target.route.setLink(link.index, up: true)
        let free = try (isPortFree(51820, in: home.namespace), isPortFree(51820, in: target.namespace))
        #expect(!free.0 && free.1)
        #expect(try target.deleteLink(index: link.index, name: "wg0", kind: "wireguard"))
        let after = try isPortFree(51820, in: home.namespace)
        #expect(after)
    }

    @Test func `a taken name is refused and nothing is left`() throws {
        let home = try TestNamespace()
        let target = try TestNamespace()
        try home.route.createWireGuard(name: "wg0", target: target.number)
        let error = systemError { () throws(SystemError) in
            try home.route.createWireGuard(name: "wg0", target: target.number)
        }
        #expect(error?.errno == Errno(EEXIST))
        #expect(try target.route.links().filter { $0.kind == "wireguard" }.count == 1)
        #expect(try home.route.links().allSatisfy { $0.kind != "wireguard" })
    }

    @Test(arguments: [(2000, 65), (1, 130_560), (40, 53)])
    func `any number of peers and allowed IPs is written and read back exactly`(peers: Int, allowedIPsEach: Int) throws
    {
        let fresh = try TestNamespace()
        try fresh.route.createWireGuard(name: "wg0")
        let device = try wireGuard(in: fresh.namespace)
        let change = try makeChange(peers: peers, allowedIPsEach: allowedIPsEach)
        try device.apply(change, to: "wg0")
        let found = try device.device("wg0").configuration
        #expect(found.privateKey == change.privateKey?.key && found.listenPort == 51821 && found.firewallMark == 7)
        let byKey = Dictionary(uniqueKeysWithValues: found.peers.map { ($0.publicKey, $0) })
        #expect(found.peers.count == peers && byKey.count == peers)
        var wrong = 0
        for wanted in change.peers {
            let peer = try #require(byKey[wanted.publicKey])
            let prefixes = Set(wanted.allowedIPs.map { AllowedIPChange.add($0.prefix).prefix })
            if Set(peer.allowedIPs) != prefixes || peer.allowedIPs.count != prefixes.count
                || peer.endpoint != wanted.endpoint || peer.presharedKey != wanted.presharedKey?.key
                || peer.persistentKeepaliveSeconds != wanted.persistentKeepaliveSeconds
            {
                wrong += 1
            }
        }
        #expect(wrong == 0)
    }

    @Test func `single allowed IPs are removed without touching anything else`() throws {
        let fresh = try TestNamespace()
        try fresh.route.createWireGuard(name: "wg0")
        let device = try wireGuard(in: fresh.namespace)
        var first = try makeChange(peers: 3, allowedIPsEach: 4)
        first.listenPort = 0
        try device.apply(first, to: "wg0")
        let before = try device.device("wg0").configuration
        var change = DeviceChange()
        var peer = PeerChange(publicKey: first.peers[1].publicKey)
        peer.allowedIPs = [.remove(first.peers[1].allowedIPs[2].prefix), .remove(first.peers[2].allowedIPs[0].prefix)]
        change.peers = [peer]
        try device.apply(change, to: "wg0")
        let after = try device.device("wg0").configuration
        for (old, new) in zip(before.peers, after.peers) {
            var wanted = old
            if old.publicKey == peer.publicKey {
                wanted.allowedIPs.removeAll { $0 == first.peers[1].allowedIPs[2].prefix }
            }
            #expect(Set(new.allowedIPs) == Set(wanted.allowedIPs))
            #expect(new.endpoint == wanted.endpoint && new.presharedKey == wanted.presharedKey)
        }
        #expect(after.peers.count == 3)
    }

    @Test func `a kernel that is said to know the removal flag takes it, an older one refuses it and changes nothing`()
        throws
    {
        let fresh = try TestNamespace()
        try fresh.route.createWireGuard(name: "wg0")
        let device = try wireGuard(in: fresh.namespace)
        let first = try makeChange(peers: 2, allowedIPsEach: 3)
        try device.apply(first, to: "wg0")
        let before = try device.device("wg0").configuration
        var change = DeviceChange()
        var peer = PeerChange(publicKey: first.peers[0].publicKey)
        // The second is another peer's, which keeps it.
        let gone = first.peers[0].allowedIPs[1].prefix
        peer.allowedIPs = [.remove(gone), .remove(first.peers[1].allowedIPs[0].prefix)]
        change.peers = [peer]
        let refusal = systemError { () throws(SystemError) in try device.send(change, to: "wg0") }
        let knowsFlag = KernelVersion.current >= KernelVersion(6, 16)
        #expect(refusal?.errno == (knowsFlag ? nil : Errno(EINVAL)))
        let after = try device.device("wg0").configuration
        for (old, new) in zip(before.peers, after.peers) {
            let wanted =
                knowsFlag && old.publicKey == peer.publicKey ? old.allowedIPs.filter { $0 != gone } : old.allowedIPs
            #expect(Set(new.allowedIPs) == Set(wanted) && new.allowedIPs.count == wanted.count)
        }
        #expect(after.peers.count == 2)
    }

    @Test func `a device that changes while it is read is never read in parts`() throws {
        let fresh = try TestNamespace()
        try fresh.route.createWireGuard(name: "wg0")
        let device = try wireGuard(in: fresh.namespace)
        let change = try makeChange(peers: 300, allowedIPsEach: 5)
        try device.apply(change, to: "wg0")
        let writer = try wireGuard(in: fresh.namespace)
        nonisolated(unsafe) let shared = writer
        let thread = Task.detached {
            for round in 0..<20 {
                var small = DeviceChange()
                small.firewallMark = UInt32(round)
                try shared.apply(small, to: "wg0")
                usleep(20_000)
            }
        }
        for _ in 0..<20 {
            let found = try device.device("wg0").configuration
            #expect(found.peers.count == 300 && found.peers.allSatisfy { $0.allowedIPs.count == 5 })
        }
        thread.cancel()
    }

    @Test func `what is not a WireGuard interface is told apart from none`() throws {
        let fresh = try TestNamespace()
        let device = try wireGuard(in: fresh.namespace)
        let absent = systemError { () throws(SystemError) in _ = try device.device("wg0") }
        #expect(absent?.errno == Errno(ENODEV))
        let other = systemError { () throws(SystemError) in _ = try device.device("lo") }
        #expect(other?.errno == Errno(EOPNOTSUPP) && other?.detail?.contains("lo") == true)
    }
}

extension AllowedIPChange {
    fileprivate var prefix: IPPrefix {
        switch self {
        case .add(let prefix), .remove(let prefix): prefix
        }
    }
}
