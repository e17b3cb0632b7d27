import CLinux
import CMnl
import Glibc
import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// A change of a device as a row of SET_DEVICE messages.
///
/// A nest's length is 16 bits wide, and one message shall fit the buffer that libmnl and wg(8) call ideal
/// (8 KiB), so peers and allowed IPs go into as many messages as they need. What replaces (REPLACE_PEERS,
/// REPLACE_ALLOWEDIPS) is said once, in the first message that names the device or the peer; said again it
/// would throw away what the messages before have brought. A peer that goes on in another message goes on as
/// "update only": one that the kernel did not take, or that somebody removed meanwhile, is not made anew.
struct DeviceChangeFragments {
    static let capacityBytes = 8192

    private let change: DeviceChange
    private let interface: String
    private let family: GenericFamily
    private var isFirst = true
    private var peerIndex = 0
    /// Allowed IPs of the current peer that earlier messages have carried.
    private var allowedIPIndex = 0
    private var isContinued = false

    init(_ change: DeviceChange, interface: String, family: GenericFamily) {
        self.change = change
        self.interface = interface
        self.family = family
    }

    /// The next message, to be acknowledged before the one after; nil at the end.
    mutating func next() throws(SystemError) -> NetlinkMessage? {
        guard isFirst || peerIndex < change.peers.count else { return nil }
        var message = family.message(
            "WG_CMD_SET_DEVICE", interface, command: WG_CMD_SET_DEVICE.rawValue, flags: 0,
            capacityBytes: Self.capacityBytes)
        message.put(Int(WGDEVICE_A_IFNAME.rawValue), text: interface)
        if isFirst { putDevice(&message) }
        let before = (peerIndex, allowedIPIndex, isContinued)
        if peerIndex < change.peers.count {
            let peers = message.beginNest(Int(WGDEVICE_A_PEERS.rawValue))
            while peerIndex < change.peers.count, putPeer(&message) {
                peerIndex += 1
                allowedIPIndex = 0
                isContinued = false
            }
            message.endNest(peers)
            // Not even one attribute fitted: only a name without end could do that.
            guard isFirst || before != (peerIndex, allowedIPIndex, isContinued) else {
                throw SystemError(call: "WG_CMD_SET_DEVICE", object: interface, errno: Errno(EMSGSIZE))
            }
        }
        isFirst = false
        return message
    }

    private func putDevice(_ message: inout NetlinkMessage) {
        if change.replacePeers { message.put(Int(WGDEVICE_A_FLAGS.rawValue), u32: WGDEVICE_F_REPLACE_PEERS.rawValue) }
        switch change.privateKey {
        case .set(let key): key.secret.withBytes { _ = message.put(Int(WGDEVICE_A_PRIVATE_KEY.rawValue), bytes: $0) }
        case .remove: message.put(Int(WGDEVICE_A_PRIVATE_KEY.rawValue), bytes: noKey)
        case nil: break
        }
        if let port = change.listenPort { message.put(Int(WGDEVICE_A_LISTEN_PORT.rawValue), u16: port) }
        if let mark = change.firewallMark { message.put(Int(WGDEVICE_A_FWMARK.rawValue), u32: mark) }
    }

    /// Puts the current peer, or as much of it as fits; false when something is left for the next message.
    private mutating func putPeer(_ message: inout NetlinkMessage) -> Bool {
        let peer = change.peers[peerIndex]
        guard let nest = message.beginNest(0) else {
            message.clearOverflow()
            return false
        }
        peer.publicKey.withBytes { _ = message.put(Int(WGPEER_A_PUBLIC_KEY.rawValue), bytes: $0) }
        let flags = flags(of: peer)
        if flags != 0 { message.put(Int(WGPEER_A_FLAGS.rawValue), u32: flags) }
        if !isContinued { putSettings(of: peer, &message) }
        if message.overflowed {
            message.cancelNest(nest)
            message.clearOverflow()
            return false
        }
        let complete = putAllowedIPs(of: peer, &message)
        message.endNest(nest)
        if !complete { isContinued = true }
        return complete
    }

    private func flags(of peer: PeerChange) -> UInt32 {
        if isContinued { return WGPEER_F_UPDATE_ONLY.rawValue }
        return (peer.remove ? WGPEER_F_REMOVE_ME.rawValue : 0)
            | (peer.updateOnly ? WGPEER_F_UPDATE_ONLY.rawValue : 0)
            | (peer.replaceAllowedIPs ? WGPEER_F_REPLACE_ALLOWEDIPS.rawValue : 0)
    }

    private func putSettings(of peer: PeerChange, _ message: inout NetlinkMessage) {
        switch peer.presharedKey {
        case .set(let key): key.secret.withBytes { _ = message.put(Int(WGPEER_A_PRESHARED_KEY.rawValue), bytes: $0) }
        case .remove: message.put(Int(WGPEER_A_PRESHARED_KEY.rawValue), bytes: noKey)
        case nil: break
        }
        if let endpoint = peer.endpoint { message.put(Int(WGPEER_A_ENDPOINT.rawValue), bytes: endpoint.socketAddress) }
        if let seconds = peer.persistentKeepaliveSeconds {
            message.put(Int(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL.rawValue), u16: seconds)
        }
    }

    /// From where the last message ended; false when some are left.
    private mutating func putAllowedIPs(of peer: PeerChange, _ message: inout NetlinkMessage) -> Bool {
        guard allowedIPIndex < peer.allowedIPs.count else { return true }
        guard let list = message.beginNest(Int(WGPEER_A_ALLOWEDIPS.rawValue)) else {
            message.clearOverflow()
            return false
        }
        defer { message.endNest(list) }
        while allowedIPIndex < peer.allowedIPs.count {
            guard let item = message.beginNest(0) else {
                message.clearOverflow()
                return false
            }
            put(peer.allowedIPs[allowedIPIndex], &message)
            if message.overflowed {
                message.cancelNest(item)
                message.clearOverflow()
                return false
            }
            message.endNest(item)
            allowedIPIndex += 1
        }
        return true
    }

    private func put(_ change: AllowedIPChange, _ message: inout NetlinkMessage) {
        let prefix: IPPrefix
        switch change {
        case .add(let added): prefix = added
        case .remove(let removed):
            prefix = removed
            message.put(allowedIPFlags, u32: allowedIPRemoveMe)
        }
        message.put(Int(WGALLOWEDIP_A_FAMILY.rawValue), u16: UInt16(prefix.address.family))
        message.put(Int(WGALLOWEDIP_A_IPADDR.rawValue), bytes: prefix.address.bytes)
        message.put(Int(WGALLOWEDIP_A_CIDR_MASK.rawValue), u8: prefix.length)
    }
}

/// All zeros remove a key (checklist A6).
private let noKey = [UInt8](repeating: 0, count: 32)

/// WGALLOWEDIP_A_FLAGS and WGALLOWEDIP_F_REMOVE_ME, Linux 6.16: newer than Debian 12's headers.
private let allowedIPFlags = 4
private let allowedIPRemoveMe: UInt32 = 1
