import Glibc
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// One call of the plugin: what came in, and what it works with. The verbs are methods of it, a file per verb.
struct PluginCall {
    /// In a tunnel's `Owner`, it tells our tunnels from netavark's.
    static let runtime = "cni"

    var environment: PluginEnvironment
    /// The whole environment, for delegates.
    var variables: EnvironmentVariables
    /// Standard input, word for word.
    var input: [UInt8]
    /// The tunnels of a state directory; nil is the usual one.
    var tunnels: (_ stateDirectory: String?) -> any TunnelService
    /// One line for standard error.
    var log: (String) -> Void

    /// The answer for standard output, or nothing.
    func answer() throws(PluginError) -> JSONValue? {
        switch environment.verb {
        case .version: return version()
        case .add: return try add()
        case .delete: try delete()
        case .check: try check()
        case .garbageCollect: try collectGarbage()
        case .status: try status()
        }
        return nil
    }

    func owner(network: String, arguments: CNIArguments? = nil) -> Owner {
        Owner(
            runtime: Self.runtime, network: network, containerID: environment.containerID,
            interface: environment.interface,
            podNamespace: arguments?.podNamespace, podName: arguments?.podName)
    }

    func delegate(_ type: String, _ document: [UInt8], _ variables: EnvironmentVariables? = nil) throws(PluginError)
        -> Delegate
    {
        try Delegate(
            type, document: document, searchPath: environment.searchPath, variables: variables ?? self.variables,
            log: log)
    }

    /// For CHECK, GC and STATUS, which older configurations cannot ask for.
    func requireVerb(in version: SpecificationVersion) throws(PluginError) {
        let verb = environment.verb
        guard version >= verb.since else {
            throw PluginError(
                .incompatibleVersion, "cniVersion \"\(version.rawValue)\" has no \(verb.rawValue)",
                details: "\(verb.rawValue) came with \(verb.since.rawValue)")
        }
    }

    /// Whether CNI_NETNS names the namespace in which this plugin runs.
    var isOwnNamespace: Bool {
        // By device and inode: the same namespace has many paths.
        guard let given = try? FileDescriptor.open(environment.networkNamespace, openFlags).identity(),
            let own = try? FileDescriptor.open("/proc/thread-self/ns/net", openFlags).identity()
        else { return false }
        return given == own
    }
}

/// Only to ask what a namespace file is; never to join it.
let openFlags = O_RDONLY | O_NONBLOCK

func canRead(_ path: String) -> Bool { access(path, R_OK) == 0 }
