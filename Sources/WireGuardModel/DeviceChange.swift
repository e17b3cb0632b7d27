import IPAddressing
import WireGuardCrypto

/// One `set` operation, as the UAPI and generic netlink know it: only what is named changes.
/// The order of application is fixed by checklist A4.
public struct DeviceChange: Equatable, Sendable {
    public var firewallMark: UInt32?
    public var listenPort: UInt16?
    public var replacePeers = false
    public var privateKey: KeyChange<PrivateKey>?
    public var peers: [PeerChange] = []

    public init() {}
}

/// Setting a key, or removing it (all zeros on the wire, checklist A6).
public enum KeyChange<Key: Equatable & Sendable>: Equatable, Sendable {
    case set(Key)
    case remove

    public var key: Key? { if case .set(let key) = self { key } else { nil } }
}

/// What a `DeviceChange` does to one peer.
public struct PeerChange: Equatable, Sendable {
    public var publicKey: PublicKey
    public var remove = false
    /// Change the peer only if it exists (checklist A5).
    public var updateOnly = false
    public var presharedKey: KeyChange<PresharedKey>?
    public var endpoint: Endpoint?
    /// 0 turns it off.
    public var persistentKeepaliveSeconds: UInt16?
    public var replaceAllowedIPs = false
    /// In order: adding moves a prefix here from its owner (checklist A1).
    public var allowedIPs: [AllowedIPChange] = []

    public init(publicKey: PublicKey) { self.publicKey = publicKey }
}

public enum AllowedIPChange: Equatable, Sendable {
    case add(IPPrefix)
    case remove(IPPrefix)
}
