import IPAddressing
import LinuxSystem
import WireGuardCrypto

// A live device as `wg show` prints it (show.c of wireguard-tools), colours included.

extension SecretText {
    /// One interface with its peers, the most recent handshake first.
    ///
    /// - Parameters:
    ///   - showsKeys: `WG_HIDE_KEYS=never`; otherwise private and preshared keys read `(hidden)`.
    ///   - notes: further lines about the interface, behind those of wg(8).
    public mutating func append(
        wgShow status: DeviceStatus, interface: String, now: WallTime = .now, showsKeys: Bool = false,
        notes: [(label: String, text: String)] = [], style: TerminalStyle = .plain
    ) {
        let device = status.configuration
        append(style.reset)
        append("\(style.paint("interface", .green, .bold)): \(style.paint(interface, .green))\n")
        if let key = device.privateKey {
            append("public key", "\(key.publicKey)", style)
            append("private key", key.secret, showsKeys, style)
        }
        if device.listenPort != 0 { append("listening port", "\(device.listenPort)", style) }
        if device.firewallMark != 0 { append("fwmark", "0x\(String(device.firewallMark, radix: 16))", style) }
        for note in notes { append(note.label, note.text, style) }
        let peers = device.peers.map { ($0, status.peers[$0.publicKey] ?? PeerStatus(receivedBytes: 0, sentBytes: 0)) }
        for (peer, status) in peers.sorted(by: { isMoreRecent($0.1.lastHandshake, $1.1.lastHandshake) }) {
            append("\n")
            append(peer, status, now, showsKeys, style)
        }
    }

    private mutating func append(
        _ peer: PeerConfiguration, _ status: PeerStatus, _ now: WallTime, _ showsKeys: Bool, _ style: TerminalStyle
    ) {
        append("\(style.paint("peer", .yellow, .bold)): \(style.paint("\(peer.publicKey)", .yellow))\n")
        if let key = peer.presharedKey { append("preshared key", key.secret, showsKeys, style) }
        if let endpoint = peer.endpoint { append("endpoint", "\(endpoint)", style) }
        let allowed = peer.allowedIPs.map { "\($0.address)\(style.paint("/", .cyan))\($0.length)" }
        append("allowed ips", allowed.isEmpty ? "(none)" : allowed.joined(separator: ", "), style)
        if let handshake = status.lastHandshake {
            append("latest handshake", WgShow.ago(handshake, now: now, style), style)
        }
        if status.receivedBytes != 0 || status.sentBytes != 0 {
            let received = WgShow.bytes(status.receivedBytes, style)
            append("transfer", "\(received) received, \(WgShow.bytes(status.sentBytes, style)) sent", style)
        }
        let seconds = peer.persistentKeepaliveSeconds
        if seconds != 0 {
            append("persistent keepalive", "every \(WgShow.duration(UInt64(seconds), style))", style)
        }
    }

    private mutating func append(_ label: String, _ text: String, _ style: TerminalStyle) {
        append("  \(style.paint(label, .bold)): \(text)\n")
    }

    private mutating func append(_ label: String, _ secret: SecretBytes, _ showsKeys: Bool, _ style: TerminalStyle) {
        append("  \(style.paint(label, .bold)): ")
        if showsKeys { append(base64Of: secret) } else { append("(hidden)") }
        append("\n")
    }
}

/// Peers without a handshake come last.
private func isMoreRecent(_ left: WallTime?, _ right: WallTime?) -> Bool {
    guard let left else { return false }
    guard let right else { return true }
    return (left.seconds, left.nanoseconds) > (right.seconds, right.nanoseconds)
}

/// Times and amounts in the words of wg(8).
public enum WgShow {
    /// `1 minute, 12 seconds ago`, or `Now`.
    public static func ago(_ time: WallTime, now: WallTime = .now, _ style: TerminalStyle = .plain) -> String {
        if now.seconds == time.seconds { return "Now" }
        if now.seconds < time.seconds {
            return "(\(style.paint("System clock wound backward; connection problems may ensue.", .red)))"
        }
        return "\(duration(now.seconds.magnitudeOfDifference(to: time.seconds), style)) ago"
    }

    /// `1 day, 2 hours, 3 seconds`; units of zero are left out, a year has 365 days.
    public static func duration(_ seconds: UInt64, _ style: TerminalStyle = .plain) -> String {
        let units: [(name: String, seconds: UInt64)] = [
            ("year", 365 * 24 * 60 * 60), ("day", 24 * 60 * 60), ("hour", 60 * 60), ("minute", 60), ("second", 1),
        ]
        var rest = seconds
        var parts: [String] = []
        for unit in units where rest >= unit.seconds {
            let count = rest / unit.seconds
            rest %= unit.seconds
            parts.append("\(count) \(style.paint(unit.name + (count == 1 ? "" : "s"), .cyan))")
        }
        return parts.joined(separator: ", ")
    }

    /// `312 B`, `1.21 KiB`, to `TiB`: two places, rounded as printf(3) rounds (half to even).
    public static func bytes(_ count: UInt64, _ style: TerminalStyle = .plain) -> String {
        let units: [(name: String, shift: UInt64)] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        guard let unit = units.first(where: { count >= 1 << $0.shift }) else {
            return "\(count) \(style.paint("B", .cyan))"
        }
        let scaled = UInt128(count) * 100
        let size = UInt128(1) << UInt128(unit.shift)
        var (hundredths, rest) = scaled.quotientAndRemainder(dividingBy: size)
        rest *= 2
        if rest > size || rest == size && hundredths % 2 == 1 { hundredths += 1 }
        let places = hundredths % 100
        return "\(hundredths / 100).\(places < 10 ? "0" : "")\(places) \(style.paint(unit.name, .cyan))"
    }
}

extension Int64 {
    /// Never overflows.
    fileprivate func magnitudeOfDifference(to other: Int64) -> UInt64 {
        UInt64(bitPattern: self > other ? self &- other : other &- self)
    }
}
