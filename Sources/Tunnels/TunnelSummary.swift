import LinuxSystem
import WireGuardCrypto

/// One line of `list`: what the state directory says, and what is true now.
public struct TunnelSummary: Sendable {
    public var id: TunnelID
    public var phase: Phase
    public var interface: String
    public var backend: BackendKind
    public var publicKey: PublicKey
    public var owner: Owner?
    public var configurationPath: String?
    /// The target as it was named at attach.
    public var target: String
    public var namespacePath: String?
    public var engine: ProcessIdentity?
    public var engineVersion: String?
    /// Nil: never, or it could not be asked.
    public var lastHandshake: WallTime?
    public var attachedAt: WallTime

    public enum Phase: String, Sendable {
        case attaching, attached, detaching
        /// The engine is dead, or the device is gone, while the namespace lives: `repair` or `detach`.
        case broken
        /// The namespace is gone: `gc` or `detach`.
        case orphaned
    }
}

/// What a teardown did. Nothing to do is success.
public struct TeardownReport: Sendable {
    /// What was taken down, in order; empty when there was nothing.
    public var removed: [TunnelID] = []
    /// What could not be undone; its journal is kept, and the next teardown tries again.
    public var errors: [TunnelError] = []

    public init() {}
}

/// One claim of `check`, proven or not.
public struct CheckFinding: Sendable {
    public enum Verdict: String, Sendable {
        case proven
        case violated
        /// Could not look.
        case unknown
        /// Worth knowing, no promise at stake.
        case note
    }

    public var verdict: Verdict
    /// Which promise: `P1`, `P2`, `P3`; or `live` for the tunnel's own life.
    public var promise: String
    /// One line.
    public var text: String
}

/// How a pool of configurations stands.
public struct PoolStatus: Sendable {
    /// Usable files.
    public var total: Int
    public var free: Int
    /// `FILE: why it cannot be used`.
    public var unusable: [String]
}
