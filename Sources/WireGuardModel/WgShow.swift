import IPAddressing
import LinuxSystem
import WireGuardCrypto

// A live device as `wg show` prints it, without colours (show.c of wireguard-tools).

extension SecretText {
    /// One interface with its peers, the most recent handshake first.
    ///
    /// - Parameters:
    ///   - showsKeys: `WG_HIDE_KEYS=never`; otherwise private and preshared keys read `(hidden)`.
    ///   - notes: further lines about the interface, behind those of wg(8).
    public mutating func append(
        wgShow status: DeviceStatus, interface: String, now: WallTime = .now, showsKeys: Bool = false,
        notes: [(label: String, text: String)] = []
    ) {
        let device = status.configuration
        append("interface: \(interface)\n")
        if let key = device.privateKey {
            append("  public key: \(key.publicKey)\n")
            append("  private key: ", key.secret, showsKeys)
        }
        if device.listenPort != 0 { append("  listening port: \(device.listenPort)\n") }
        if device.firewallMark != 0 { append("  fwmark: 0x\(String(device.firewallMark, radix: 16))\n") }
        for note in notes { append("  \(note.label): \(note.text)\n") }
        let peers = device.peers.map { ($0, status.peers[$0.publicKey] ?? PeerStatus(receivedBytes: 0, sentBytes: 0)) }
        for (peer, status) in peers.sorted(by: { isMoreRecent($0.1.lastHandshake, $1.1.lastHandshake) }) {
            append("\n")
            append(peer, status, now, showsKeys)
        }
    }

    private mutating func append(_ peer: PeerConfiguration, _ status: PeerStatus, _ now: WallTime, _ showsKeys: Bool) {
        append("peer: \(peer.publicKey)\n")
        if let key = peer.presharedKey { append("  preshared key: ", key.secret, showsKeys) }
        if let endpoint = peer.endpoint { append("  endpoint: \(endpoint)\n") }
        append("  allowed ips: ")
        if peer.allowedIPs.isEmpty { append("(none)") }
        for (index, prefix) in peer.allowedIPs.enumerated() { append(index == 0 ? "\(prefix)" : ", \(prefix)") }
        append("\n")
        if let handshake = status.lastHandshake { append("  latest handshake: \(WgShow.ago(handshake, now: now))\n") }
        if status.receivedBytes != 0 || status.sentBytes != 0 {
            let received = WgShow.bytes(status.receivedBytes)
            append("  transfer: \(received) received, \(WgShow.bytes(status.sentBytes)) sent\n")
        }
        let seconds = peer.persistentKeepaliveSeconds
        if seconds != 0 { append("  persistent keepalive: every \(WgShow.duration(UInt64(seconds)))\n") }
    }

    private mutating func append(_ label: StaticString, _ secret: SecretBytes, _ showsKeys: Bool) {
        append(label)
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
    public static func ago(_ time: WallTime, now: WallTime = .now) -> String {
        if now.seconds == time.seconds { return "Now" }
        if now.seconds < time.seconds { return "(System clock wound backward; connection problems may ensue.)" }
        return "\(duration(now.seconds.magnitudeOfDifference(to: time.seconds))) ago"
    }

    /// `1 day, 2 hours, 3 seconds`; units of zero are left out, a year has 365 days.
    public static func duration(_ seconds: UInt64) -> String {
        let units: [(name: String, seconds: UInt64)] = [
            ("year", 365 * 24 * 60 * 60), ("day", 24 * 60 * 60), ("hour", 60 * 60), ("minute", 60), ("second", 1),
        ]
        var rest = seconds
        var parts: [String] = []
        for unit in units where rest >= unit.seconds {
            let count = rest / unit.seconds
            rest %= unit.seconds
            parts.append("\(count) \(unit.name)\(count == 1 ? "" : "s")")
        }
        return parts.joined(separator: ", ")
    }

    /// `312 B`, `1.21 KiB`, to `TiB`: two places, rounded as printf(3) rounds (half to even).
    public static func bytes(_ count: UInt64) -> String {
        let units: [(name: String, shift: UInt64)] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        guard let unit = units.first(where: { count >= 1 << $0.shift }) else { return "\(count) B" }
        let scaled = UInt128(count) * 100
        let size = UInt128(1) << UInt128(unit.shift)
        var (hundredths, rest) = scaled.quotientAndRemainder(dividingBy: size)
        rest *= 2
        if rest > size || rest == size && hundredths % 2 == 1 { hundredths += 1 }
        let places = hundredths % 100
        return "\(hundredths / 100).\(places < 10 ? "0" : "")\(places) \(unit.name)"
    }
}

extension Int64 {
    /// Never overflows.
    fileprivate func magnitudeOfDifference(to other: Int64) -> UInt64 {
        UInt64(bitPattern: self > other ? self &- other : other &- self)
    }
}
