import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

// The UAPI's text, appended to a buffer that is wiped. Every line is `key=value\n`.

extension SecretText {
    /// `get=1` and its empty line.
    public mutating func appendUAPIGet() { append("get=1\n\n") }

    /// A whole `set=1` request, empty line included: what wg(8) sends, and what the engine finds behind
    /// `SWG_CONFIG_FD`.
    public mutating func append(uapiSet change: DeviceChange) {
        append("set=1\n")
        if let key = change.privateKey { appendField("private_key=", secret: key.key?.secret) }
        if let port = change.listenPort { appendField("listen_port=", number: port) }
        if let mark = change.firewallMark { appendField("fwmark=", number: mark) }
        if change.replacePeers { append("replace_peers=true\n") }
        for peer in change.peers { append(uapiPeer: peer) }
        append("\n")
    }

    private mutating func append(uapiPeer peer: PeerChange) {
        appendField("public_key=", key: peer.publicKey)
        if peer.remove {
            append("remove=true\n")
            return
        }
        // Before the others: wireguard-go acts line by line.
        if peer.updateOnly { append("update_only=true\n") }
        if let key = peer.presharedKey { appendField("preshared_key=", secret: key.key?.secret) }
        if let endpoint = peer.endpoint { appendField("endpoint=", text: endpoint.description) }
        if let seconds = peer.persistentKeepaliveSeconds {
            appendField("persistent_keepalive_interval=", number: seconds)
        }
        if peer.replaceAllowedIPs { append("replace_allowed_ips=true\n") }
        for allowedIP in peer.allowedIPs {
            switch allowedIP {
            case .add(let prefix): appendField("allowed_ip=", prefix: prefix)
            case .remove(let prefix): appendField("allowed_ip=-", prefix: prefix)
            }
        }
    }

    /// The lines of a get response in the order of checklist U4; `append(uapiErrno:)` ends it.
    public mutating func append(uapiStatus status: DeviceStatus) {
        let device = status.configuration
        if let key = device.privateKey { appendField("private_key=", secret: key.secret) }
        if device.listenPort != 0 { appendField("listen_port=", number: device.listenPort) }
        if device.firewallMark != 0 { appendField("fwmark=", number: device.firewallMark) }
        for peer in device.peers {
            append(uapiPeer: peer, status: status.peers[peer.publicKey] ?? PeerStatus(receivedBytes: 0, sentBytes: 0))
        }
    }

    private mutating func append(uapiPeer peer: PeerConfiguration, status: PeerStatus) {
        appendField("public_key=", key: peer.publicKey)
        appendField("preshared_key=", secret: peer.presharedKey?.secret)
        append("protocol_version=1\n")
        if let endpoint = peer.endpoint { appendField("endpoint=", text: endpoint.description) }
        let handshake = status.lastHandshake ?? WallTime(seconds: 0, nanoseconds: 0)
        appendField("last_handshake_time_sec=", number: UInt64(clamping: handshake.seconds))
        appendField("last_handshake_time_nsec=", number: handshake.nanoseconds)
        appendField("tx_bytes=", number: status.sentBytes)
        appendField("rx_bytes=", number: status.receivedBytes)
        appendField("persistent_keepalive_interval=", number: peer.persistentKeepaliveSeconds)
        for prefix in peer.allowedIPs { appendField("allowed_ip=", prefix: prefix) }
    }

    /// The end of every response; nil is success. The number is negative as wireguard-go writes it and wg(8)
    /// expects it (checklist U3).
    public mutating func append(uapiErrno errno: Errno?) {
        append("errno=")
        if let errno, errno.rawValue != 0 { append("-") }
        append(decimal: (errno?.rawValue ?? 0).magnitude)
        append("\n\n")
    }

    private mutating func appendField(_ name: StaticString, number: some UnsignedInteger & FixedWidthInteger) {
        append(name)
        append(decimal: number)
        append("\n")
    }

    private mutating func appendField(_ name: StaticString, text: String) {
        append(name)
        append(text)
        append("\n")
    }

    private mutating func appendField(_ name: StaticString, key: PublicKey) {
        append(name)
        append(hexOf: key)
        append("\n")
    }

    /// Zeros for none.
    private mutating func appendField(_ name: StaticString, secret: SecretBytes?) {
        append(name)
        if let secret {
            append(hexOf: secret)
        } else {
            append("0000000000000000000000000000000000000000000000000000000000000000")
        }
        append("\n")
    }

    private mutating func appendField(_ name: StaticString, prefix: IPPrefix) {
        append(name)
        prefix.address.withASCII { append($0) }
        append("/")
        append(decimal: prefix.length)
        append("\n")
    }
}
