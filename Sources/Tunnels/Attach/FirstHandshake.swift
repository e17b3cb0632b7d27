import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto
import WireGuardModel

/// Waiting for the first handshake, and setting it off.
enum FirstHandshake {
    /// Between two looks: WireGuard tells nobody when a handshake completes, so this is asked. Only `--wait` and
    /// `run` come here.
    static let intervalMicroseconds: UInt32 = 20_000

    /// - Returns: seconds until the first peer with an endpoint had its handshake; nil when no peer has one.
    /// - Throws: `.handshake` when the time is over.
    static func wait(for device: LiveDevice, plan: TunnelPlan, seconds: Double) throws(TunnelError) -> Double? {
        guard let peer = plan.device.peers.first(where: { $0.endpoint != nil }), let endpoint = peer.endpoint else {
            return nil
        }
        let start = BootTime.now
        try trigger(device, peer)
        while true {
            try Interruption.checkpoint()
            if try isDone(device, peer) {
                return Double(BootTime.now.since(start)) / 1e9
            }
            if Double(BootTime.now.since(start)) / 1e9 >= seconds {
                throw TunnelError(
                    .handshake,
                    "no handshake with \(peer.publicKey) at \(endpoint) within \(Int(seconds.rounded(.up))) s",
                    cure: "check the endpoint, both public keys and the port; or do not wait (--no-wait)")
            }
            usleep(intervalMicroseconds)
        }
    }

    /// Turning the keepalive on sends one at once, and that needs a session: no packet of ours gets into the
    /// tunnel. It stays on until `isDone`: an engine that has not yet heard that its interface is up sends the
    /// first one when it does.
    static func trigger(_ device: LiveDevice, _ peer: PeerConfiguration) throws(TunnelError) {
        if peer.persistentKeepaliveSeconds == 0 { try setKeepalive(25, of: peer, device) }
    }

    /// Whether the peer had its handshake; the keepalive is then what the configuration says.
    static func isDone(_ device: LiveDevice, _ peer: PeerConfiguration) throws(TunnelError) -> Bool {
        guard try device.status().peers[peer.publicKey]?.lastHandshake != nil else { return false }
        if peer.persistentKeepaliveSeconds == 0 { try setKeepalive(0, of: peer, device) }
        return true
    }

    private static func setKeepalive(
        _ seconds: UInt16, of peer: PeerConfiguration, _ device: LiveDevice
    ) throws(TunnelError) {
        var change = PeerChange(publicKey: peer.publicKey)
        change.updateOnly = true
        change.persistentKeepaliveSeconds = seconds
        var whole = DeviceChange()
        whole.peers = [change]
        try device.apply(whole)
    }
}

extension TunnelKeeper {
    func waitForHandshake(
        of record: TunnelRecord, _ plan: TunnelPlan, inside target: TargetNetwork, seconds: Double
    ) throws(TunnelError) -> Double? {
        try FirstHandshake.wait(for: liveDevice(record, inside: target), plan: plan, seconds: seconds)
    }
}
