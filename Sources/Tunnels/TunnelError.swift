import LinuxSystem

/// What went wrong with a tunnel, for a person to act on (promise P6).
///
/// Reads `MESSAGE; CURE`, and when cleaning up failed as well, what that ran into. Never holds a key.
public struct TunnelError: Error, Equatable, Sendable {
    /// What a caller may want to decide on: exit codes, CNI error codes.
    public enum Kind: String, Hashable, Sendable {
        /// The request itself cannot be meant: a bad id, name or option.
        case usage
        /// The configuration does not parse, or contradicts itself.
        case configuration
        /// A file of the configuration cannot be read, or may be written by others than root.
        case configurationFile
        /// The target is no network namespace, is our own, or vanished.
        case target
        /// The target has an interface of the wanted name.
        case interfaceExists
        /// The target has another interface (promise P1).
        case notSole
        /// The private key serves another live tunnel.
        case keyInUse
        /// Every configuration of the pool is leased.
        case poolExhausted
        case privileges
        /// A program, driver or kernel feature is missing.
        case unavailable
        /// The engine did not start or died.
        case engine
        /// An endpoint's name does not resolve.
        case resolution
        /// No handshake in time.
        case handshake
        /// No such tunnel.
        case notFound
        /// Another process works on this tunnel.
        case busy
        /// The state directory is unusable.
        case state
        /// A refusal by the kernel that has no better kind.
        case system
    }

    public let kind: Kind
    /// What was tried, on what, and the answer.
    public let message: String
    /// What to do about it.
    public let cure: String?
    /// What cleaning up ran into; the tunnel's journal keeps what is still to be undone.
    public var undoErrors: [String]

    public init(_ kind: Kind, _ message: String, cure: String? = nil, undoErrors: [String] = []) {
        self.kind = kind
        self.message = message
        self.cure = cure
        self.undoErrors = undoErrors
    }

    /// A kernel's refusal with what we were about to do.
    public init(_ error: SystemError, doing attempt: String, kind: Kind = .system, cure: String? = nil) {
        let denied = error.errno.name == "EPERM" || error.errno.name == "EACCES"
        let needsRoot = denied && kind == .system
        self.init(
            needsRoot ? .privileges : kind, "\(attempt): \(error)",
            cure: cure ?? (needsRoot ? "run it as root (sudo), or with CAP_NET_ADMIN and CAP_SYS_ADMIN" : nil))
    }
}

extension TunnelError: CustomStringConvertible {
    public var description: String {
        var text = cure.map { "\(message); \($0)" } ?? message
        for error in undoErrors { text += "\nwhile undoing: \(error)" }
        return text
    }
}

extension TunnelError {
    static func noTunnel(_ id: TunnelID) -> TunnelError {
        TunnelError(.notFound, "there is no tunnel \(id)", cure: "see swg-ns list")
    }
}
