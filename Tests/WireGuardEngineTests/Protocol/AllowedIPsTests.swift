import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuardEngine

/// The trie against a list that is searched from end to end.
@Suite struct AllowedIPsTests {
    /// Peers that exist only as addresses and lists: the trie needs no more.
    private final class World {
        let reclaimer = Reclaimer()
        let memory = VirtualDevice.makeSurvivorMemory(rows: 512)
        var peers: [PeerPointer] = []

        init(peers count: Int) {
            let table = SurvivorTable(memory: memory)
            for number in 0..<count {
                let key = numberedKey(number)
                peers.append(Peer.make(publicKey: key, row: table.claim(key)!))
            }
        }

        deinit {
            for peer in peers { Peer.free(peer) }
            memory.deallocate()
        }
    }

    private func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }
    private func address(_ text: String) -> IPAddress { IPAddress(text)! }

    /// From the kernel's selftest/allowedips.c.
    @Test func `A1: the longest prefix wins, in both families, with and without defaults`() {
        let world = World(peers: 8)
        let table = AllowedIPs(reclaimer: world.reclaimer)
        let (a, b, c, d, e, f, g, h) = (
            world.peers[0], world.peers[1], world.peers[2], world.peers[3], world.peers[4], world.peers[5],
            world.peers[6],
            world.peers[7]
        )
        for (text, peer) in [
            ("192.168.4.0/24", a), ("192.168.4.4/32", b), ("192.168.0.0/16", c), ("192.95.5.64/27", d),
            ("192.95.5.65/27", c),
            ("0.0.0.0/0", e), ("64.15.112.0/20", g), ("64.15.123.211/25", h), ("10.0.0.0/25", a), ("10.0.0.128/25", b),
            ("10.1.0.0/30", a), ("10.1.0.4/30", b), ("10.1.0.8/29", c), ("10.1.0.16/29", d),
            ("2607:5300:60:6b0::c05f:543/128", d),
            ("2607:5300:60:6b0::/64", c), ("::/0", e), ("2404:6800::/32", f), ("2404:6800:4004:800::/61", g),
            ("2404:6800:4004:800:dead:beef:dead:beef/128", a),
        ] {
            table.insert(prefix(text), peer: peer)
        }
        for (text, peer) in [
            ("192.168.4.20", a), ("192.168.4.0", a), ("192.168.4.4", b), ("192.168.200.182", c), ("192.95.5.68", c),
            ("192.95.5.96", e), ("64.15.116.26", g), ("64.15.123.128", h), ("64.15.127.3", g), ("10.0.0.52", a),
            ("10.0.0.220", b),
            ("10.1.0.2", a), ("10.1.0.6", b), ("10.1.0.10", c), ("10.1.0.20", d), ("2607:5300:60:6b0::c05f:543", d),
            ("2607:5300:60:6b0::c02e:1ee", c), ("2607:5300:60:6b1::", e), ("2404:6800:4004:806::1006", g),
            ("2404:6800:4004:806::", g), ("2404:6800:4004:810::", f), ("2404:6800:4004:800:dead:beef:dead:beef", a),
        ] {
            #expect(table.peer(for: address(text)) == peer, "\(text)")
        }
    }

    @Test func `A1: a prefix given to another peer moves, and taking it from the first then does nothing`() {
        let world = World(peers: 2)
        let table = AllowedIPs(reclaimer: world.reclaimer)
        table.insert(prefix("10.0.0.0/8"), peer: world.peers[0])
        table.insert(prefix("10.9.9.9/8"), peer: world.peers[1])
        #expect(table.peer(for: address("10.1.1.1")) == world.peers[1])
        #expect(table.prefixes(of: world.peers[0]).isEmpty)
        table.remove(prefix("10.0.0.0/8"), peer: world.peers[0])
        #expect(table.peer(for: address("10.1.1.1")) == world.peers[1])
        table.removeAll(of: world.peers[1])
        #expect(table.peer(for: address("10.1.1.1")) == nil)
    }

    @Test func `A1: a default of one family is not one of the other`() {
        let world = World(peers: 1)
        let table = AllowedIPs(reclaimer: world.reclaimer)
        table.insert(.everythingIPv4, peer: world.peers[0])
        #expect(table.peer(for: address("::1")) == nil)
        #expect(table.peer(for: address("255.255.255.255")) == world.peers[0])
    }

    @Test func `A2: 129 nodes on one path are built, walked and taken down, from either end`() {
        let world = World(peers: 129)
        for isFromFront in [true, false] {
            let table = AllowedIPs(reclaimer: world.reclaimer)
            let all = IPAddress.v6(IPv6Address(high: .max, low: .max))
            let lengths = isFromFront ? Array(0...128) : (0...128).reversed()
            for length in lengths {
                table.insert(IPPrefix(masking: all, length: UInt8(length))!, peer: world.peers[length])
            }
            #expect(table.peer(for: all) == world.peers[128])
            for length in (0...127) {
                let other = IPAddress.v6(
                    length < 64
                        ? IPv6Address(high: .max ^ (1 << UInt64(63 - length)), low: .max)
                        : IPv6Address(high: .max, low: .max ^ (1 << UInt64(127 - length))))
                #expect(table.peer(for: other) == world.peers[length])
            }
            for length in lengths.dropLast() { table.removeAll(of: world.peers[length]) }
            #expect(table.peer(for: all) == world.peers[lengths.last!])
            table.removeAll(of: world.peers[lengths.last!])
            #expect(table.peer(for: all) == nil)
        }
        world.reclaimer.collect()
        #expect(!world.reclaimer.isWaiting)
    }

    @Test func `A2: removing a node in the middle keeps both of its children`() {
        let world = World(peers: 3)
        let table = AllowedIPs(reclaimer: world.reclaimer)
        table.insert(prefix("10.0.0.0/8"), peer: world.peers[0])
        table.insert(prefix("10.0.0.0/16"), peer: world.peers[1])
        table.insert(prefix("10.128.0.0/16"), peer: world.peers[2])
        table.removeAll(of: world.peers[0])
        #expect(table.peer(for: address("10.0.1.1")) == world.peers[1])
        #expect(table.peer(for: address("10.128.1.1")) == world.peers[2])
        #expect(table.peer(for: address("10.1.1.1")) == nil)
    }

    @Test func `A1, A2: any sequence of insertions and removals equals the slow model`() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<30 {
            let world = World(peers: 20)
            let table = AllowedIPs(reclaimer: world.reclaimer)
            var model: [(prefix: IPPrefix, peer: PeerPointer)] = []
            for _ in 0..<300 {
                let peer = world.peers[generator.below(20)]
                switch generator.below(10) {
                case 0:
                    table.removeAll(of: peer)
                    model.removeAll { $0.peer == peer }
                case 1, 2:
                    guard let victim = model.isEmpty ? nil : model[generator.below(model.count)] else { continue }
                    let owner = generator.oneIn(2) ? victim.peer : peer
                    table.remove(victim.prefix, peer: owner)
                    model.removeAll { $0.prefix == victim.prefix && $0.peer == owner }
                default:
                    let prefix = generator.prefix()
                    table.insert(prefix, peer: peer)
                    model.removeAll { $0.prefix == prefix }
                    model.append((prefix, peer))
                }
                for _ in 0..<5 {
                    let address = generator.address()
                    let slow = model.filter { $0.prefix.contains(address) }.max { $0.prefix.length < $1.prefix.length }
                    if table.peer(for: address) != slow?.peer { Issue.record("\(address)") }
                }
            }
            for peer in world.peers {
                let slow = Set(model.filter { $0.peer == peer }.map(\.prefix))
                #expect(Set(table.prefixes(of: peer)) == slow)
            }
            world.reclaimer.collect()
        }
    }
}
