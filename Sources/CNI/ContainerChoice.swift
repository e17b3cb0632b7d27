import Glibc
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// Which WireGuard file a container gets: the operator's, or its own choice where `allowChoice` lets it.
///
/// A choice that is not allowed is refused, never passed over: the container would go out under another
/// identity than it asked for.
struct ContainerChoice {
    static let annotation = "swg-ns/config"

    let configuration: NetworkConfiguration
    let arguments: CNIArguments

    func source() throws(PluginError) -> ConfigurationSource {
        guard let (wish, origin) = wish() else {
            switch configuration.source {
            case .file(let path): return .file(path)
            case .pool(let directory): return .pool(directory: directory)
            }
        }
        guard !configuration.choice.globs.isEmpty else {
            throw PluginError(
                .invalidConfiguration,
                "\(origin) asks for \(Self.shown(wish)), but network \"\(configuration.name)\" lets no container choose",
                details: "\"allowChoice\" in the network configuration lets it")
        }
        return .file(try path(wish, origin))
    }

    /// The most particular source wins.
    private func wish() -> (wish: String, origin: String)? {
        if let wish = arguments.configuration { return (wish, "CNI_ARGS SWG_CONFIG") }
        if let wish = configuration.runtime.annotations[Self.annotation] {
            return (wish, "annotation \(Self.annotation)")
        }
        if configuration.choice.byName, let name = arguments.podName, !name.isEmpty {
            return (name, "byName, K8S_POD_NAME")
        }
        return nil
    }

    /// A name of a file in the pool (or beside the one file), or an absolute path that a pattern allows in full.
    private func path(_ wish: String, _ origin: String) throws(PluginError) -> String {
        let isPath = wish.hasPrefix("/")
        let name = wish.hasSuffix(".conf") ? String(wish.dropLast(5)) : wish
        let components = wish.split(separator: "/", omittingEmptySubsequences: false)
        let isPlain =
            !wish.utf8.contains { $0 < 0x20 } && !components.contains("..")
            && (isPath ? !components.dropFirst().contains { $0.isEmpty || $0 == "." } : isSpecificationName(name))
        guard isPlain else {
            throw PluginError(
                .invalidConfiguration,
                "\(origin)=\(Self.shown(wish)) is neither the name of a configuration nor an absolute path")
        }
        let spellings = isPath ? [wish] : [name, name + ".conf"]
        let isAllowed = configuration.choice.globs.contains { glob in
            spellings.contains { fnmatch(glob, $0, FNM_PATHNAME | FNM_PERIOD) == 0 }
        }
        guard isAllowed else {
            throw PluginError(
                .invalidConfiguration,
                "\(origin)=\(Self.shown(wish)) is not among what network \"\(configuration.name)\" lets containers choose",
                details: "allowChoice: \(configuration.choice.globs.map { printable($0) })")
        }
        return isPath ? wish : "\(folder)/\(name).conf"
    }

    private var folder: String {
        switch configuration.source {
        case .pool(let directory): directory
        case .file(let path): path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "/etc/wireguard"
        }
    }

    private static func shown(_ wish: String) -> String { JSONValue.string(wish).shown }
}
