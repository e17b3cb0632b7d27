import LinuxSystem
import WireGuardCrypto

/// A live device as `wg show` sees it.
public struct DeviceStatus: Equatable, Sendable {
    public var configuration: DeviceConfiguration
    /// By public key, for every peer of the configuration.
    public var peers: [PublicKey: PeerStatus]

    public init(configuration: DeviceConfiguration, peers: [PublicKey: PeerStatus] = [:]) {
        self.configuration = configuration
        self.peers = peers
    }
}

/// What has happened between the device and one peer.
public struct PeerStatus: Equatable, Sendable {
    /// Nil before the first handshake.
    public var lastHandshake: WallTime?
    public var receivedBytes: UInt64
    public var sentBytes: UInt64

    public init(lastHandshake: WallTime? = nil, receivedBytes: UInt64 = 0, sentBytes: UInt64 = 0) {
        self.lastHandshake = lastHandshake
        self.receivedBytes = receivedBytes
        self.sentBytes = sentBytes
    }
}
