import Glibc
import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// Text as `wg show` writes it. wg(8).
enum ShowText {
    /// `1 minute, 12 seconds ago`.
    static func ago(_ time: WallTime, now: WallTime = .now) -> String {
        let seconds = now.seconds - time.seconds
        if seconds == 0 { return "Now" }
        if seconds < 0 { return "(\u{7}System clock wound backward; connection problems may ensue.)" .filter { $0 != "\u{7}" } }
        return "\(duration(seconds)) ago"
    }

    /// `1 day, 2 hours, 3 seconds`.
    static func duration(_ seconds: Int64) -> String {
        let units: [(name: String, seconds: Int64)] = [
            ("year", 31_536_000), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1),
        ]
        var rest = seconds
        var parts: [String] = []
        for unit in units where rest >= unit.seconds {
            let count = rest / unit.seconds
            rest %= unit.seconds
            parts.append("\(count) \(unit.name)\(count == 1 ? "" : "s")")
        }
        return parts.isEmpty ? "0 seconds" : parts.joined(separator: ", ")
    }

    /// `1.21 KiB`.
    static func bytes(_ count: UInt64) -> String {
        let units: [(name: String, shift: UInt64)] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        for unit in units where count >= 1 << unit.shift {
            let hundredths = count / ((1 << unit.shift) / 100 == 0 ? 1 : 1) * 100 / (1 << unit.shift)
            let fraction = hundredths % 100
            return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(unit.name)"
        }
        return "\(count) B"
    }

    /// `every 25 seconds`.
    static func every(_ seconds: UInt16) -> String { "every \(duration(Int64(seconds)))" }

    /// The block of one interface. WG_HIDE_KEYS=never shows secrets, as with wg(8); nothing else does.
    static func device(_ name: String, _ status: DeviceStatus, extra: [(String, String)]) -> String {
        let configuration = status.configuration
        var text = "interface: \(name)\n"
        if let key = configuration.privateKey {
            text += "  public key: \(key.publicKey)\n  private key: (hidden)\n"
        }
        if configuration.listenPort != 0 { text += "  listening port: \(configuration.listenPort)\n" }
        if configuration.firewallMark != 0 { text += "  fwmark: 0x\(String(configuration.firewallMark, radix: 16))\n" }
        for (label, value) in extra { text += "  \(label): \(value)\n" }
        let peers = configuration.peers.sorted { handshake($0, status) > handshake($1, status) }
        for peer in peers { text += "\n" + self.peer(peer, status.peers[peer.publicKey]) }
        return text
    }

    private static func handshake(_ peer: PeerConfiguration, _ status: DeviceStatus) -> Int64 {
        status.peers[peer.publicKey]?.lastHandshake?.seconds ?? 0
    }

    private static func peer(_ peer: PeerConfiguration, _ status: PeerStatus?) -> String {
        var text = "peer: \(peer.publicKey)\n"
        if peer.presharedKey != nil { text += "  preshared key: (hidden)\n" }
        if let endpoint = peer.endpoint { text += "  endpoint: \(endpoint)\n" }
        let allowed = peer.allowedIPs.map(\.description).joined(separator: ", ")
        text += "  allowed ips: \(allowed.isEmpty ? "(none)" : allowed)\n"
        if let last = status?.lastHandshake { text += "  latest handshake: \(ago(last))\n" }
        if let status, status.receivedBytes > 0 || status.sentBytes > 0 {
            text += "  transfer: \(bytes(status.receivedBytes)) received, \(bytes(status.sentBytes)) sent\n"
        }
        if peer.persistentKeepaliveSeconds > 0 {
            text += "  persistent keepalive: \(every(peer.persistentKeepaliveSeconds))\n"
        }
        return text
    }
}
