import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// One call of the plugin: its verb and what came on standard input. The verbs are methods of it, a file per
/// verb; there is no check, no collection and no negotiation in this API.
struct NetavarkCall {
    /// In a tunnel's `Owner`, it tells our tunnels from CNI's.
    static let runtime = "netavark"

    enum Verb: Hashable, Sendable {
        case create
        case setup(namespacePath: String)
        case teardown(namespacePath: String)
        case information
    }

    var verb: Verb
    var input: [UInt8]
    /// The tunnels of a state directory; nil is the usual one.
    var tunnels: (_ stateDirectory: String?) -> any TunnelService
    /// One line for standard error, which podman shows to its user.
    var log: (String) -> Void

    func answer() throws(NetavarkError) -> JSONValue? {
        switch verb {
        case .information: return information()
        case .create: return try create()
        case .setup(let path): return try setUp(path)
        case .teardown:
            try tearDown()
            return nil
        }
    }

    func document() throws(NetavarkError) -> JSONValue {
        do {
            return try JSONValue.parse(input)
        } catch {
            throw NetavarkError("standard input is unusable: \(error.reason)")
        }
    }
}

extension NetavarkCall.Verb {
    /// - Parameter arguments: without the program's name.
    init(_ arguments: [String]) throws(NetavarkError) {
        switch (arguments.first ?? "info", arguments.count) {
        case ("info", 0...1): self = .information
        case ("create", 1): self = .create
        case ("setup", 2): self = .setup(namespacePath: arguments[1])
        case ("teardown", 2): self = .teardown(namespacePath: arguments[1])
        default:
            throw NetavarkError(
                "usage: swg-netavark create | setup NETNS | teardown NETNS | info (a netavark plugin, called by podman)"
            )
        }
    }
}
