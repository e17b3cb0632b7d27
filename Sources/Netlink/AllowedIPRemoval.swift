import IPAddressing
import WireGuardCrypto
import WireGuardModel

/// How a single allowed IP is taken from a peer.
///
/// Kernels before 6.16 have no word for it. Listing the remaining ones anew (REPLACE_ALLOWEDIPS) would cut live
/// traffic for a moment; moving the prefix to a peer that nobody is, and removing that peer, does not.
enum AllowedIPRemoval: Sendable {
    case flag
    case placeholderPeer
}

extension DeviceChange {
    var removesAllowedIPs: Bool {
        peers.contains { $0.allowedIPs.contains { if case .remove = $0 { true } else { false } } }
    }

    /// The same change without removals, then the placeholder taking what is to go, then its end.
    ///
    /// A prefix goes only if the peer that shall lose it has it: another owner keeps it (checklist A1).
    func withPlaceholderPeer(on before: DeviceConfiguration, placeholder: PublicKey) -> [DeviceChange] {
        var wanted = AllowedIPOwners(before)
        var reached = wanted
        var touched: [IPPrefix] = []
        var additions = self
        for (index, peer) in peers.enumerated() {
            additions.peers[index].allowedIPs = peer.allowedIPs.filter { if case .add = $0 { true } else { false } }
            for case .remove(let prefix) in peer.allowedIPs { touched.append(prefix) }
        }
        wanted.apply(self)
        reached.apply(additions)
        var seen: Set<IPPrefix> = []
        let leftovers = touched.filter {
            wanted.owner[$0] == nil && reached.owner[$0] != nil && seen.insert($0).inserted
        }
        guard !leftovers.isEmpty else { return [additions] }
        var taking = PeerChange(publicKey: placeholder)
        taking.allowedIPs = leftovers.map { .add($0) }
        var ending = PeerChange(publicKey: placeholder)
        ending.remove = true
        var take = DeviceChange()
        take.peers = [taking]
        var end = DeviceChange()
        end.peers = [ending]
        return [additions, take, end]
    }
}

/// Which peer has which prefix: each prefix has one owner (checklist A1).
struct AllowedIPOwners {
    private(set) var owner: [IPPrefix: PublicKey] = [:]
    private var prefixes: [PublicKey: Set<IPPrefix>] = [:]

    init(_ configuration: DeviceConfiguration) {
        for peer in configuration.peers {
            prefixes[peer.publicKey] = []
            for prefix in peer.allowedIPs { add(prefix, to: peer.publicKey) }
        }
    }

    mutating func apply(_ change: DeviceChange) {
        if change.replacePeers {
            owner = [:]
            prefixes = [:]
        }
        for peer in change.peers {
            let key = peer.publicKey
            if peer.updateOnly && prefixes[key] == nil { continue }
            if peer.remove || peer.replaceAllowedIPs {
                for prefix in prefixes.removeValue(forKey: key) ?? [] { owner[prefix] = nil }
            }
            if peer.remove { continue }
            if prefixes[key] == nil { prefixes[key] = [] }
            for item in peer.allowedIPs {
                switch item {
                case .add(let prefix): add(prefix, to: key)
                case .remove(let prefix) where owner[prefix] == key:
                    owner[prefix] = nil
                    prefixes[key]?.remove(prefix)
                case .remove: break
                }
            }
        }
    }

    private mutating func add(_ prefix: IPPrefix, to key: PublicKey) {
        if let last = owner[prefix] { prefixes[last]?.remove(prefix) }
        owner[prefix] = key
        prefixes[key, default: []].insert(prefix)
    }
}
