/// One option of a verb: its name, what follows it, and its line in the help.
struct Option: Equatable, Sendable {
    enum Value: Equatable, Sendable {
        case none
        /// `--name VALUE` or `--name=VALUE`.
        case required(String)
        /// `--name` or `--name=VALUE`, never the next word.
        case optional(String)
    }

    /// With its dashes.
    let name: String
    /// One letter with its dash.
    let short: String?
    let value: Value
    let help: String

    init(_ name: String, _ value: Value, short: String? = nil, _ help: String) {
        self.name = name
        self.short = short
        self.value = value
        self.help = help
    }

    /// A switch.
    init(_ name: String, short: String? = nil, _ help: String) { self.init(name, .none, short: short, help) }

    func isCalled(_ word: String) -> Bool { word == name || word == short }

    /// As it stands in the help: `--netns PATH|NAME`.
    var synopsis: String {
        let text =
            switch value {
            case .none: name
            case .required(let placeholder): "\(name) \(placeholder)"
            case .optional(let placeholder): "\(name)[=\(placeholder)]"
            }
        return short.map { "\($0), \(text)" } ?? text
    }
}

extension Option {
    static let json = Option("--json", "print JSON on standard output")
    static let quiet = Option("--quiet", short: "-q", "print no warnings and notices")
    static let verbose = Option("--verbose", short: "-v", "print every step")
    static let stateDirectory = Option(
        "--state-dir", .required("DIR"), "instead of /run/swg-ns or $XDG_RUNTIME_DIR/swg-ns")
    static let help = Option("--help", short: "-h", "print this")
    static let version = Option("--version", short: "-V", "print the version")
    /// Every verb has them.
    static let common = [json, quiet, verbose, stateDirectory, help, version]

    static let netns = Option("--netns", .required("PATH|NAME"), "a namespace file, or a name of ip netns")
    static let pid = Option("--pid", .required("PID"), "the namespace of a process")
    static let container = Option("--container", .required("ID"), "a container of podman, docker or containerd")
    static let targets = [netns, pid, container]

    static let engine = Option(
        "--engine", .required("auto|kernel|userspace"), "who implements the device; auto prefers the kernel")
    static let interface = Option("--ifname", .required("NAME"), "the interface's name inside; default wg0")
    static let id = Option("--id", .required("ID"), "the tunnel's id; default the file's base name")
    static let mtu = Option("--mtu", .required("BYTES"), "instead of MTU= and of what the path allows")
    static let dns = Option("--dns", .required("WORDS"), "instead of DNS=: servers and search domains, comma-separated")
    static let table = Option("--table", .required("auto|off|N"), "instead of Table=")
    static let wait = Option("--wait", .optional("SECONDS"), "wait for the first handshake; default 11 s")
    static let noWait = Option("--no-wait", "do not wait for it")
    static let create = Option("--create", "make the named namespace if it does not exist")
    static let keepInterfaces = Option(
        "--keep-interfaces", "allow other interfaces beside the tunnel: no longer the only way out")
    static let foreground = Option("--foreground", "stay, tell systemd when ready, and detach on SIGTERM")
    static let replace = Option("--replace", "replace a live engine even if it runs the installed program")
    static let hooks = Option("--hooks", "run PreUp, PostUp, PreDown and PostDown of the file")
    static let dryRun = Option("--dry-run", "check everything, print what would be made, make nothing")
    static let strict = Option(
        "--strict", "a hostile program cannot leak either: own pids, /run, /tmp, /dev, a system-call filter")
    static let user = Option("--user", .required("NAME"), "run the command as this user")
}
