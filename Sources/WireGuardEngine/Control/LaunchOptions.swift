import Glibc
import LinuxSystem

/// How the engine was started: arguments and environment, as wireguard-go understands them, and the four
/// descriptors that Tunnels hands over (DESIGN §5).
struct LaunchOptions {
    var name: String
    var isForeground = false
    /// WG_TUN_FD
    var tun: Int32?
    /// SWG_TUN_LAYOUT: what is known about it (`TunDevice.Layout`), so that nobody has to ask.
    var tunLayout: TunDevice.Layout?
    /// WG_UAPI_FD
    var uapi: Int32?
    /// SWG_CONFIG_FD: a file with one UAPI `set=1` request.
    var configuration: Int32?
    /// SWG_READY_FD: gets `ready\n` or the reason why not.
    var ready: Int32?
    /// SWG_LIFE_FD: the engine ends when this does.
    var life: Int32?
    /// LOG_LEVEL as it was given, for the worker.
    var levelName = ""
    var level: EngineLog.Level { EngineLog.Level(environment: levelName) }
    /// In the background, too: whoever sets LOG_LEVEL wants to read.
    var keepsOutput: Bool { !levelName.isEmpty && level > .silent }
    /// SWG_STATE_DIR
    var stateDirectory: String?

    static let usage = "usage: swg-engine [-f|--foreground] INTERFACE-NAME"

    struct UsageError: Error { let text: String }

    static func parse(
        _ arguments: [String], environment: (String) -> String?
    ) throws(UsageError) -> LaunchOptions {
        var foreground = environment("WG_PROCESS_FOREGROUND") == "1"
        var names: [String] = []
        for argument in arguments.dropFirst() {
            switch argument {
            case "-f", "--foreground": foreground = true
            default:
                if argument.hasPrefix("-") { throw UsageError(text: "unknown option \(argument)\n\(usage)") }
                names.append(argument)
            }
        }
        guard names.count == 1, let name = names.first else { throw UsageError(text: usage) }
        guard isInterfaceName(name) else {
            throw UsageError(text: "\(name): an interface's name has 1 to 15 characters, none of them / or a space")
        }
        func descriptor(_ variable: String) throws(UsageError) -> Int32? {
            guard let text = environment(variable), !text.isEmpty else { return nil }
            // Not 0, 1, 2: those are somebody's terminal.
            guard let number = Int32(text), number > 2, fcntl(number, F_GETFD) >= 0 else {
                throw UsageError(text: "\(variable)=\(text) is not an open descriptor")
            }
            return number
        }
        var options = LaunchOptions(name: name)
        options.isForeground = foreground
        options.tun = try descriptor("WG_TUN_FD")
        options.tunLayout = environment("SWG_TUN_LAYOUT").flatMap { TunDevice.Layout($0) }
        options.uapi = try descriptor("WG_UAPI_FD")
        options.configuration = try descriptor("SWG_CONFIG_FD")
        options.ready = try descriptor("SWG_READY_FD")
        options.life = try descriptor("SWG_LIFE_FD")
        options.levelName = environment("LOG_LEVEL") ?? ""
        options.stateDirectory = environment("SWG_STATE_DIR")
        return options
    }

    /// It also becomes a file name: `/var/run/wireguard/NAME.sock`.
    private static func isInterfaceName(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
    }
}
