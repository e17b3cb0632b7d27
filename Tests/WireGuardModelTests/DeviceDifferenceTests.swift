import IPAddressing
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

extension DeviceConfiguration {
    /// Normalised, peers and prefixes in an order of their own: equal for devices that behave alike.
    fileprivate var canonical: DeviceConfiguration {
        var result = normalised
        result.peers.sort { $0.publicKey.bytes.lexicographicallyPrecedes($1.publicKey.bytes) }
        for index in result.peers.indices {
            result.peers[index].allowedIPs.sort { left, right in
                (left.address, left.length) < (right.address, right.length)
            }
        }
        return result
    }
}

@Suite struct DeviceDifferenceTests {
    /// What `difference` promises to reach: `new`, but for the two things that cannot be taken back.
    func reachable(_ new: DeviceConfiguration, from old: DeviceConfiguration) -> DeviceConfiguration {
        var result = new.normalised
        let before = old.normalised
        if result.listenPort == 0 { result.listenPort = before.listenPort }
        var endpoints: [PublicKey: Endpoint] = [:]
        for peer in before.peers { endpoints[peer.publicKey] = peer.endpoint }
        for index in result.peers.indices where result.peers[index].endpoint == nil {
            result.peers[index].endpoint = endpoints[result.peers[index].publicKey]
        }
        return result.canonical
    }

    @Test(arguments: [PrefixRemoval.individually, .byReplacing])
    func `A1, A4: applying the difference of two devices to the one gives the other`(removal: PrefixRemoval) {
        for seed in 0..<400 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let old = generator.device().normalised
            let new = generator.device()
            let change = DeviceChange.difference(from: old, to: new, removal: removal)
            #expect(old.applying(change).canonical == reachable(new, from: old), "seed \(seed)")
        }
    }

    @Test func `setting all of a device from any state gives its normal form`() {
        for seed in 0..<200 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let old = generator.device()
            let new = generator.device()
            #expect(old.applying(DeviceChange(settingAll: new)) == new.normalised, "seed \(seed)")
        }
    }

    @Test func `nothing to change is an empty change`() {
        for seed in 0..<50 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let device = generator.device()
            #expect(DeviceChange.difference(from: device, to: device).isEmpty)
            var reordered = device.normalised
            reordered.peers.shuffle(using: &generator)
            for index in reordered.peers.indices { reordered.peers[index].allowedIPs.shuffle(using: &generator) }
            #expect(DeviceChange.difference(from: device, to: reordered).isEmpty)
        }
    }

    @Test func `A1: a prefix that moves is added to its new owner and nothing else is said`() throws {
        let prefix = try #require(IPPrefix("10.0.0.0/8"))
        let old = DeviceConfiguration(peers: [
            PeerConfiguration(publicKey: numberedKey(1), allowedIPs: [prefix]),
            PeerConfiguration(publicKey: numberedKey(2)),
        ])
        let new = DeviceConfiguration(peers: [
            PeerConfiguration(publicKey: numberedKey(1)),
            PeerConfiguration(publicKey: numberedKey(2), allowedIPs: [prefix]),
        ])
        var taker = PeerChange(publicKey: numberedKey(2))
        taker.updateOnly = true
        taker.allowedIPs = [.add(prefix)]
        #expect(DeviceChange.difference(from: old, to: new, removal: .byReplacing).peers == [taker])
    }

    @Test func `a peer in both is never removed or replaced, so its session lives`() {
        for seed in 0..<100 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let old = generator.device().normalised
            let new = generator.device().normalised
            let change = DeviceChange.difference(from: old, to: new)
            let kept = Set(old.peers.map(\.publicKey)).intersection(new.peers.map(\.publicKey))
            #expect(!change.replacePeers)
            for peer in change.peers where kept.contains(peer.publicKey) {
                #expect(!peer.remove && peer.updateOnly && !peer.replaceAllowedIPs)
            }
        }
    }

    @Test func `2,000 peers with 130,000 prefixes: one moved prefix is one line`() throws {
        let old = largeDevice(peerCount: 2000, prefixesPerPeer: 65)
        var new = old
        let last = new.peers[0].allowedIPs.popLast()
        let moved = try #require(last)
        new.peers[1999].allowedIPs.append(moved)
        let change = DeviceChange.difference(from: old, to: new)
        #expect(change.peers.count == 1)
        #expect(change.peers.first?.allowedIPs == [.add(moved)])
        #expect(old.applying(change) == new)
    }

    @Test func `A1: a prefix is taken away by itself, or by replacing the list for a kernel that cannot`() throws {
        let (kept, dropped) = (try #require(IPPrefix("10.0.0.0/8")), try #require(IPPrefix("10.1.0.0/16")))
        let old = DeviceConfiguration(peers: [
            PeerConfiguration(publicKey: numberedKey(1), allowedIPs: [kept, dropped])
        ])
        let new = DeviceConfiguration(peers: [PeerConfiguration(publicKey: numberedKey(1), allowedIPs: [kept])])
        var change = PeerChange(publicKey: numberedKey(1))
        change.updateOnly = true
        change.allowedIPs = [.remove(dropped)]
        #expect(DeviceChange.difference(from: old, to: new).peers == [change])
        change.replaceAllowedIPs = true
        change.allowedIPs = [.add(kept)]
        #expect(DeviceChange.difference(from: old, to: new, removal: .byReplacing).peers == [change])
        // Nothing is replaced when nothing is taken away.
        change.replaceAllowedIPs = false
        change.allowedIPs = [.add(dropped)]
        #expect(DeviceChange.difference(from: new, to: old, removal: .byReplacing).peers == [change])
    }

    @Test func `A5: a list that is replaced has the order it is told in`() throws {
        let prefixes = [try #require(IPPrefix("10.0.0.0/8")), try #require(IPPrefix("10.1.0.0/16"))]
        let old = DeviceConfiguration(peers: [PeerConfiguration(publicKey: numberedKey(1), allowedIPs: prefixes)])
        var change = DeviceChange()
        var peer = PeerChange(publicKey: numberedKey(1))
        peer.replaceAllowedIPs = true
        peer.allowedIPs = prefixes.reversed().map { .add($0) }
        change.peers = [peer]
        #expect(old.applying(change).peers.first?.allowedIPs == prefixes.reversed())
    }
}
