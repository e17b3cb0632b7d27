import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import Netlink

/// The `wireguard` family against a scripted kernel: nothing here needs the driver or root.
struct FragmentationTests {
    /// Runs `body` with a socket to a scripted device, then returns the device and every request it got.
    private func withDevice(
        removal: AllowedIPRemoval = .flag, _ prepare: (ScriptedWireGuard) -> Void = { _ in },
        _ body: (WireGuardNetlink) throws -> Void
    ) throws -> (device: ScriptedWireGuard, requests: [ScriptedPeer.Request]) {
        let device = ScriptedWireGuard()
        prepare(device)
        let peer = ScriptedPeer { device.answer($0) }
        do {
            try body(try WireGuardNetlink(peer.socket(), allowedIPRemoval: removal))
        }
        return (device, peer.finish())
    }

    private func key(_ index: Int) throws -> PublicKey {
        let seed: [UInt8] = littleEndian(UInt64(index)) + Array(repeating: 7, count: 24)
        return try #require(PublicKey(bytes: seed))
    }

    private func prefix(_ index: Int) throws -> IPPrefix {
        let v4 = IPAddress.v4(IPv4Address(rawValue: 0x0a00_0000 + UInt32(index)))
        let v6 = IPAddress.v6(IPv6Address(high: 0x2001_0db8_0000_0000 + UInt64(index), low: 0))
        return try #require(index % 3 == 0 ? IPPrefix(masking: v6, length: 64) : IPPrefix(masking: v4, length: 32))
    }

    private func change(peers: Int, allowedIPsEach: Int) throws -> DeviceChange {
        var change = DeviceChange()
        change.privateKey = .set(PrivateKey.generate())
        change.listenPort = 51820
        change.firewallMark = 0xca6c
        change.replacePeers = true
        for index in 0..<peers {
            var peer = PeerChange(publicKey: try key(index))
            peer.replaceAllowedIPs = true
            peer.persistentKeepaliveSeconds = UInt16(index % 100)
            if index % 2 == 0 { peer.presharedKey = .set(PresharedKey.generate()) }
            peer.endpoint =
                index % 5 == 0 ? Endpoint("[2001:db8::1]:5\(index % 10)") : Endpoint("192.0.2.9:\(1 + index % 999)")
            for number in 0..<allowedIPsEach {
                peer.allowedIPs.append(.add(try prefix(index * allowedIPsEach + number)))
            }
            change.peers.append(peer)
        }
        return change
    }

    /// What the scripted device holds must be what the change says.
    private func expectSame(_ device: ScriptedWireGuard, _ change: DeviceChange) throws {
        #expect(change.privateKey?.key?.secret.withBytes { Array($0) } == device.privateKey)
        #expect(device.port == 51820 && device.mark == 0xca6c)
        #expect(device.order == change.peers.map(\.publicKey))
        var wanted: [IPPrefix: PublicKey] = [:]
        var wrong = 0
        for peer in change.peers {
            for case .add(let prefix) in peer.allowedIPs { wanted[prefix] = peer.publicKey }
            let found = try #require(device.peers[peer.publicKey])
            let preshared = peer.presharedKey?.key?.secret.withBytes { Array($0) } ?? Array(repeating: 0, count: 32)
            if found.presharedKey != preshared || found.keepalive != UInt64(peer.persistentKeepaliveSeconds ?? 0)
                || found.endpoint != peer.endpoint?.socketAddress ?? []
            {
                wrong += 1
            }
        }
        #expect(wrong == 0)
        #expect(device.owner == wanted)
        #expect(device.replacePeersCount == 1, "REPLACE_PEERS is said once")
        #expect(device.replaceAllowedIPsCount.values.allSatisfy { $0 == 1 }, "REPLACE_ALLOWEDIPS is said once per peer")
        #expect(device.endpointCount.values.allSatisfy { $0 == 1 }, "said again it would undo roaming")
    }

    @Test(arguments: [(2000, 65), (1, 130_560), (40, 53), (2000, 0), (1, 0), (0, 0), (1500, 1)])
    func `any number of peers and allowed IPs arrives exactly, in messages of at most 8 KiB`(
        peers: Int, allowedIPsEach: Int
    ) throws {
        let wanted = try change(peers: peers, allowedIPsEach: allowedIPsEach)
        let (device, requests) = try withDevice { try $0.apply(wanted, to: "wg0") }
        #expect(requests.allSatisfy { $0.bytes.count <= 8192 })
        #expect(requests.dropFirst().allSatisfy { $0.flags & Int(NLM_F_ACK) != 0 })
        try expectSame(device, wanted)
    }

    @Test func `a device larger than a message is read back exactly, a peer at the seam once`() throws {
        for (peers, each) in [(2000, 65), (1, 130_560), (30, 1), (40, 53)] {
            let wanted = try change(peers: peers, allowedIPsEach: each)
            var read: DeviceStatus?
            _ = try withDevice {
                try $0.apply(wanted, to: "wg0")
                read = try $0.device("wg0")
            }
            let configuration = try #require(read).configuration
            #expect(configuration.privateKey == wanted.privateKey?.key)
            #expect(configuration.peers.map(\.publicKey) == wanted.peers.map(\.publicKey))
            var wrong = 0
            for (found, should) in zip(configuration.peers, wanted.peers) {
                let prefixes = should.allowedIPs.compactMap(\.added)
                if Set(found.allowedIPs) != Set(prefixes) || found.allowedIPs.count != prefixes.count
                    || found.endpoint != should.endpoint || found.presharedKey != should.presharedKey?.key
                    || found.persistentKeepaliveSeconds != should.persistentKeepaliveSeconds
                {
                    wrong += 1
                }
            }
            #expect(wrong == 0)
        }
    }

    @Test func `counters and handshakes are read; a peer that never shook hands has none`() throws {
        let (first, second) = (try key(1), try key(2))
        var status: DeviceStatus?
        _ = try withDevice {
            $0.order = [first, second]
            $0.peers[first] = .init(received: 1 << 40, handshakeSeconds: 1_700_000_000)
            $0.peers[second] = .init()
        } _: {
            status = try $0.device("wg0")
        }
        let counters = try #require(status?.peers[first])
        #expect(counters.receivedBytes == 1 << 40 && counters.sentBytes == 2)
        #expect(counters.lastHandshake == WallTime(seconds: 1_700_000_000, nanoseconds: 5))
        #expect(status?.peers[second]?.lastHandshake == nil && status?.peers[second]?.receivedBytes == 0)
        #expect(status?.configuration.peers.map(\.presharedKey) == [nil, nil])
        #expect(status?.configuration.privateKey == nil, "all zeros are no key")
    }

    @Test func `a dump that was interrupted is read again; one that always is, is an error`() throws {
        let wanted = try change(peers: 40, allowedIPsEach: 53)
        var calm: DeviceStatus?
        let (_, requests) = try withDevice({ $0.interruptions = 3 }) {
            try $0.apply(wanted, to: "wg0")
            calm = try $0.device("wg0")
        }
        #expect(calm?.configuration.peers.count == 40)
        #expect(calm?.configuration.peers.allSatisfy { $0.allowedIPs.count == 53 } == true)
        #expect(requests.filter { $0.command == 0 && $0.type == ScriptedWireGuard.familyNumber }.count == 4)
        var refusal: SystemError?
        _ = try withDevice({ $0.interruptions = .max }) { device in
            refusal = systemError { () throws(SystemError) in _ = try device.device("wg0") }
        }
        #expect(refusal?.errno == Errno(EAGAIN))
    }

    @Test func `A5: a peer that only may be updated is not made by its second message`() throws {
        var change = DeviceChange()
        var peer = PeerChange(publicKey: try key(9))
        peer.updateOnly = true
        peer.allowedIPs = try (0..<2000).map { .add(try prefix($0)) }
        change.peers = [peer]
        let (device, requests) = try withDevice { try $0.apply(change, to: "wg0") }
        #expect(requests.count > 3)
        #expect(device.peers.isEmpty && device.owner.isEmpty)
    }

    @Test(arguments: [AllowedIPRemoval.flag, .placeholderPeer])
    func `single allowed IPs are removed on kernels with and without a word for it`(removal: AllowedIPRemoval) throws {
        let (first, second) = (try key(1), try key(2))
        let prefixes = try (0..<6).map { try prefix($0) }
        var change = DeviceChange()
        var left = PeerChange(publicKey: first)
        // 0 goes; 3 is another peer's and stays there; 1 goes and comes back; 5 comes and goes.
        left.allowedIPs = [
            .remove(prefixes[0]), .remove(prefixes[3]), .remove(prefixes[1]), .add(prefixes[1]), .add(prefixes[5]),
            .remove(prefixes[5]),
        ]
        change.peers = [left]
        let (device, requests) = try withDevice(removal: removal) {
            $0.knowsRemoveFlag = removal == .flag
            $0.order = [first, second]
            $0.peers = [first: .init(), second: .init()]
            for index in 0..<3 { $0.owner[prefixes[index]] = first }
            for index in 3..<5 { $0.owner[prefixes[index]] = second }
        } _: {
            try $0.apply(change, to: "wg0")
        }
        #expect(
            device.owner == [prefixes[1]: first, prefixes[2]: first, prefixes[3]: second, prefixes[4]: second])
        #expect(device.order == [first, second], "no placeholder is left")
        #expect(device.replaceAllowedIPsCount.isEmpty, "live traffic is not cut by replacing")
        #expect(removal == .flag || requests.count == 5)
    }

    @Test func `P3: nothing of an answer stays in the socket's buffer`() throws {
        let device = ScriptedWireGuard()
        device.privateKey = Array(repeating: 0x5a, count: 32)
        let peer = ScriptedPeer { device.answer($0) }
        let socket = peer.socket()
        let status = try WireGuardNetlink(socket, allowedIPRemoval: .flag).device("wg0")
        #expect(status.configuration.privateKey != nil)
        #expect(socket.received.bytes.allSatisfy { $0 == 0 })
    }

    @Test func `an interface that is not there or not WireGuard is named`() throws {
        _ = try withDevice { device in
            let error = systemError { () throws(SystemError) in try device.apply(DeviceChange(), to: "wg7") }
            #expect(error?.errno == Errno(ENODEV))
            #expect(error?.detail?.contains("wg7") == true)
        }
    }

    @Test(arguments: [("6.1.0-37-amd64", 6, 1), ("6.16-rc1", 6, 16), ("5.15.167.4-microsoft", 5, 15), ("7.0", 7, 0)])
    func `a kernel's release is its version`(release: String, major: Int, minor: Int) {
        #expect(KernelVersion(release) == KernelVersion(major, minor))
        #expect(KernelVersion("") == nil && KernelVersion("6") == nil && KernelVersion("x.y") == nil)
    }
}

extension AllowedIPChange {
    fileprivate var added: IPPrefix? { if case .add(let prefix) = self { prefix } else { nil } }
}
