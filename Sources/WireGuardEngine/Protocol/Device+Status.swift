import IPAddressing
import Synchronization
import WireGuardCrypto
import WireGuardModel

// What `wg show` asks for (checklist U4).

extension Device {
    func status() -> DeviceStatus {
        var configuration = DeviceConfiguration(
            privateKey: privateKey, listenPort: listenPort, firewallMark: firewallMark)
        var states: [PublicKey: PeerStatus] = [:]
        configuration.peers.reserveCapacity(peers.count)
        for peer in peers {
            let row = peer.pointee.row
            configuration.peers.append(
                PeerConfiguration(
                    publicKey: peer.pointee.publicKey, presharedKey: peer.pointee.handshake.presharedKey,
                    endpoint: peer.pointee.path?.endpoint,
                    persistentKeepaliveSeconds: UInt16(
                        truncatingIfNeeded: peer.pointee.timers.persistentKeepaliveSeconds.load(ordering: .relaxed)),
                    allowedIPs: record.pointee.allowedIPs.prefixes(of: peer)))
            states[peer.pointee.publicKey] = PeerStatus(
                lastHandshake: row.pointee.lastHandshake,
                receivedBytes: row.pointee.receivedBytes.load(ordering: .relaxed),
                sentBytes: row.pointee.sentBytes.load(ordering: .relaxed))
        }
        return DeviceStatus(configuration: configuration, peers: states)
    }

    /// Whether `change`, not applied yet, replaces or removes a private or preshared key that is in use.
    func endsSecret(_ change: DeviceChange) -> Bool {
        func hasSecret(_ key: PublicKey) -> Bool { peerByKey[key]?.pointee.handshake.presharedKey != nil }
        return change.privateKey != nil && privateKey != nil
            || change.replacePeers && peers.contains { $0.pointee.handshake.presharedKey != nil }
            || change.peers.contains { ($0.remove || $0.presharedKey != nil) && hasSecret($0.publicKey) }
    }
}
