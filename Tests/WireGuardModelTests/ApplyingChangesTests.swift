import IPAddressing
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@Suite struct ApplyingChangesTests {
    let first = numberedKey(1)
    let second = numberedKey(2)

    func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

    /// Two peers, the first with 10.0.0.0/8.
    func twoPeers() throws -> DeviceConfiguration {
        DeviceConfiguration(peers: [
            PeerConfiguration(publicKey: first, allowedIPs: [try prefix("10.0.0.0/8")]),
            PeerConfiguration(publicKey: second),
        ])
    }

    @Test func `A1: a prefix that another peer takes moves`() throws {
        var change = DeviceChange()
        var peer = PeerChange(publicKey: second)
        peer.allowedIPs = [.add(try prefix("10.1.2.3/8"))]
        change.peers = [peer]
        let device = try twoPeers().applying(change)
        #expect(device.peers.map(\.allowedIPs) == [[], [try prefix("10.0.0.0/8")]])
    }

    @Test func `A1: a removed peer's prefixes go with it, and come back to nobody`() throws {
        var change = DeviceChange()
        var gone = PeerChange(publicKey: first)
        gone.remove = true
        change.peers = [gone, PeerChange(publicKey: first)]
        let device = try twoPeers().applying(change)
        #expect(device.peers.map(\.publicKey) == [second, first])
        #expect(device.peers.map(\.allowedIPs) == [[], []])
    }

    @Test func `A1: equal numbers of the two families are different prefixes`() throws {
        var change = DeviceChange()
        var peer = PeerChange(publicKey: second)
        peer.allowedIPs = [.add(.everythingIPv6)]
        change.peers = [peer]
        var device = try twoPeers()
        device.peers[0].allowedIPs = [.everythingIPv4]
        #expect(device.applying(change).peers.map(\.allowedIPs) == [[.everythingIPv4], [.everythingIPv6]])
    }

    @Test func `A1: a prefix that goes away and comes back is there once`() throws {
        let mine = try prefix("10.0.0.0/8")
        var change = DeviceChange()
        var taker = PeerChange(publicKey: second)
        taker.allowedIPs = [.add(mine)]
        var owner = PeerChange(publicKey: first)
        owner.allowedIPs = [.add(mine), .add(mine)]
        change.peers = [taker, owner]
        #expect(try twoPeers().applying(change).peers.map(\.allowedIPs) == [[mine], []])
    }

    @Test func `A4: all peers are removed before the new ones come`() throws {
        var change = DeviceChange()
        change.replacePeers = true
        change.peers = [PeerChange(publicKey: second)]
        #expect(try twoPeers().applying(change).peers.map(\.publicKey) == [second])
    }

    @Test func `A5: a peer with the device's own key is ignored, and removed when the key comes later`() throws {
        let own = PrivateKey.generate()
        var change = DeviceChange()
        change.privateKey = .set(own)
        change.peers = [PeerChange(publicKey: own.publicKey), PeerChange(publicKey: first)]
        #expect(DeviceConfiguration().applying(change).peers.map(\.publicKey) == [first])

        let before = DeviceConfiguration(peers: [PeerConfiguration(publicKey: own.publicKey)])
        var key = DeviceChange()
        key.privateKey = .set(own)
        #expect(before.applying(key).peers.isEmpty)
    }

    @Test func `A5: remove and updateOnly do not make a peer`() {
        var change = DeviceChange()
        var gone = PeerChange(publicKey: first)
        gone.remove = true
        var update = PeerChange(publicKey: second)
        update.updateOnly = true
        update.persistentKeepaliveSeconds = 25
        change.peers = [gone, update]
        #expect(DeviceConfiguration().applying(change) == DeviceConfiguration())
    }

    @Test func `A5: replacing the prefixes comes before adding`() throws {
        var change = DeviceChange()
        var peer = PeerChange(publicKey: first)
        peer.replaceAllowedIPs = true
        peer.allowedIPs = [
            .add(try prefix("10.2.0.0/16")), .add(try prefix("10.3.0.0/16")), .remove(try prefix("10.2.0.0/16")),
        ]
        change.peers = [peer]
        #expect(try twoPeers().applying(change).peers[0].allowedIPs == [try prefix("10.3.0.0/16")])
    }

    @Test func `A6: keys are removed, and what is not named stays`() throws {
        let device = DeviceConfiguration(
            privateKey: .generate(), listenPort: 1, firewallMark: 2,
            peers: [
                PeerConfiguration(
                    publicKey: first, presharedKey: .generate(), endpoint: Endpoint("192.0.2.1:3"),
                    persistentKeepaliveSeconds: 25, allowedIPs: [try prefix("10.0.0.0/8")])
            ])
        #expect(device.applying(DeviceChange()) == device)
        var change = DeviceChange()
        change.privateKey = .remove
        var peer = PeerChange(publicKey: first)
        peer.presharedKey = .remove
        change.peers = [peer]
        var expected = device
        expected.privateKey = nil
        expected.peers[0].presharedKey = nil
        #expect(device.applying(change) == expected)
    }

    @Test func `A1: another peer's prefix is not removed by asking this one`() throws {
        var change = DeviceChange()
        var peer = PeerChange(publicKey: second)
        peer.allowedIPs = [.remove(try prefix("10.0.0.0/8"))]
        change.peers = [peer]
        #expect(try twoPeers().applying(change) == twoPeers())
    }
}
