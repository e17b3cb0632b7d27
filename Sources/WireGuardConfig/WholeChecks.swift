import IPAddressing
import WireGuardCrypto
import WireGuardModel

// What only the whole file shows.

extension ConfigurationParser {
    mutating func checkWhole(hasInterface: Bool) {
        if !hasInterface {
            fail(at: (max(lineNumber, 1), 1), "file", "expected an [Interface] section")
        }
        for section in peers where !section.saysPublicKey {
            fail(at: (section.line, section.column), "[Peer]", "expected PublicKey = … in it")
        }
        guard errorCount == 0 else { return }
        if configuration.privateKey == nil {
            let words = "has no PrivateKey, PrivateKeyFile or PrivateKeyCommand: without one no handshake can be made"
            warn(at: (1, 1), "[Interface]", nil, words)
        }
        checkPeers()
        checkOwners()
    }

    /// The same peer twice, and the peer that is ourselves (checklist A5).
    private mutating func checkPeers() {
        let own = configuration.privateKey?.key?.publicKey
        var lines: [PublicKey: Int] = [:]
        for section in peers {
            let place = section.publicKeyPlace ?? (section.line, section.column)
            if section.peer.publicKey == own {
                warn(at: place, "PublicKey", nil, "is this interface's own key; the peer is ignored")
            }
            if let line = lines.updateValue(section.line, forKey: section.peer.publicKey) {
                warn(
                    at: place, "PublicKey", nil, "is the same as in the [Peer] of line \(line); this one is set over it"
                )
            }
        }
    }

    /// A prefix has one owner in the device, the last that claims it (checklist A1).
    private mutating func checkOwners() {
        var owners: [IPPrefix: Int] = [:]
        owners.reserveCapacity(peers.reduce(0) { $0 + $1.peer.allowedIPs.count })
        for (index, section) in peers.enumerated() {
            for entry in section.peer.allowedIPs where entry.sign != .remove {
                guard let before = owners.updateValue(index, forKey: entry.prefix), before != index,
                    peers[before].peer.publicKey != section.peer.publicKey
                else { continue }
                let words =
                    "is claimed by the [Peer] of line \(peers[before].line) too; a network has one owner, this one"
                warn(at: (section.line, section.column), "AllowedIPs", "\(entry.prefix)", words)
            }
        }
    }
}
