import IPAddressing
import LinuxSystem

/// Everything that `run` needs to know.
public struct RunRequest: Sendable {
    public var configuration: ConfigurationSource
    /// Program and arguments; the program is looked up in PATH as the user who runs it.
    public var command: [String]
    /// Nil: the configuration file's base name, then with `-2`, `-3` ….
    public var id: TunnelID?
    public var interface: InterfaceName
    public var engine: EngineChoice = .automatic
    public var mtu: Int?
    public var dns: [String]?
    public var table: String?
    /// A name or a number, perhaps with `:GROUP`. Nil: the invoking user, under sudo too.
    public var user: String?
    /// A hostile program shall not leak either.
    public var strict = false
    /// Seconds until the first handshake must have come; nil does not wait.
    public var waitSeconds: Double? = RunRequest.defaultWaitSeconds
    /// No status and no warnings on standard error.
    public var quiet = false
    /// Everything up to the first mutation, then stop.
    public var dryRun = false

    /// Two retries of REKEY_TIMEOUT, 5 s each, and a little.
    public static let defaultWaitSeconds = 11.0

    public init(configuration: ConfigurationSource, command: [String], interface: InterfaceName) {
        self.configuration = configuration
        self.command = command
        self.interface = interface
    }
}

/// Everything that `exec` needs to know.
public struct ExecRequest: Sendable {
    public var tunnel: TunnelID
    public var command: [String]
    public var user: String?
    public var strict = false
    public var quiet = false

    public init(tunnel: TunnelID, command: [String]) {
        self.tunnel = tunnel
        self.command = command
    }
}

/// The exit statuses of `run` and `exec` that are not the command's own, as env(1) has them.
public enum RunStatus {
    /// Ours: nothing was started.
    public static let failed: Int32 = 125
    public static let cannotExecute: Int32 = 126
    public static let notFound: Int32 = 127
}
