import IPAddressing
import WireGuardCrypto

/// What a WireGuard device is told to be, apart from its interface: the state that `wg setconf` sets.
public struct DeviceConfiguration: Equatable, Sendable {
    public var privateKey: PrivateKey?
    /// 0 asks for a random port.
    public var listenPort: UInt16
    /// SO_MARK of the UDP sockets; 0 for none.
    public var firewallMark: UInt32
    public var peers: [PeerConfiguration]

    public init(
        privateKey: PrivateKey? = nil, listenPort: UInt16 = 0, firewallMark: UInt32 = 0, peers: [PeerConfiguration] = []
    ) {
        self.privateKey = privateKey
        self.listenPort = listenPort
        self.firewallMark = firewallMark
        self.peers = peers
    }
}

/// One peer of a `DeviceConfiguration`.
public struct PeerConfiguration: Equatable, Sendable {
    public var publicKey: PublicKey
    public var presharedKey: PresharedKey?
    public var endpoint: Endpoint?
    /// 0 is off.
    public var persistentKeepaliveSeconds: UInt16
    public var allowedIPs: [IPPrefix]

    public init(
        publicKey: PublicKey, presharedKey: PresharedKey? = nil, endpoint: Endpoint? = nil,
        persistentKeepaliveSeconds: UInt16 = 0, allowedIPs: [IPPrefix] = []
    ) {
        self.publicKey = publicKey
        self.presharedKey = presharedKey
        self.endpoint = endpoint
        self.persistentKeepaliveSeconds = persistentKeepaliveSeconds
        self.allowedIPs = allowedIPs
    }
}
