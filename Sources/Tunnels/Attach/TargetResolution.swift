import Glibc
import LinuxSystem
import Namespaces

extension TunnelKeeper {
    /// Opens and verifies the target, once: only the descriptor is used from here on (promise P5). Nil for a
    /// name that does not exist yet.
    func resolve(_ target: Target, mayBeAbsent: Bool = false) throws(TunnelError) -> TargetNetwork? {
        if case .container(let name) = target {
            return try resolveContainer(name)
        }
        let namespace: NetworkNamespace
        var path: String?
        var name: String?
        var process: ProcessIdentity?
        do throws(NamespaceError) {
            switch target {
            case .path(let file):
                namespace = try NetworkNamespace.open(path: file)
                path = file
                name = NetnsName.of(path: file)
            case .name(let netns):
                let file = try NamedNamespace.path(of: netns)
                if mayBeAbsent, !File.exists(file) { return nil }
                namespace = try NetworkNamespace.open(name: netns)
                path = file
                name = netns
            case .process(let pid):
                process = try? ProcessIdentity.of(pid)
                namespace = try NetworkNamespace.open(pid: pid)
                path = "/proc/\(pid)/ns/net"
            case .container:
                return nil
            }
        } catch {
            throw TunnelError(error)
        }
        return try TargetNetwork(namespace, path: path, name: name, process: process)
    }

    /// A pid is not a name: it may be another's by the time we open it. So the namespace is opened, and then the
    /// runtime is asked again (promise P5).
    private func resolveContainer(_ name: String) throws(TunnelError) -> TargetNetwork? {
        let pid = try ContainerLookup.process(of: name)
        let target = try resolve(.process(pid))
        guard try ContainerLookup.process(of: name) == pid else {
            throw TunnelError(
                .target, "container \"\(printable(name))\" was started anew while it was looked up", cure: "try again")
        }
        return target
    }

    /// `ip netns add NAME`, journalled.
    func createNamespace(_ name: String, _ journal: inout JournalWriter) throws(TunnelError) -> TargetNetwork {
        try journal.willDo(.deleteNamespace(name))
        let namespace: NetworkNamespace
        do throws(NamespaceError) {
            namespace = try NamedNamespace.create(name)
        } catch {
            if case .nameTaken = error { try journal.didNotHappen(.deleteNamespace(name)) }
            throw TunnelError(error)
        }
        let reference = NamespaceReference(namespace, path: namespace.label, name: name)
        try journal.amend(.deleteNamespace(name), to: .deleteNamespace(name, made: reference))
        return try TargetNetwork(namespace, reference)
    }
}

/// Names of ip-netns(8).
enum NetnsName {
    /// `blue` for `/run/netns/blue` and `/var/run/netns/blue`.
    static func of(path: String) -> String? {
        for directory in ["/run/netns/", "/var/run/netns/"] where path.hasPrefix(directory) {
            let name = path.dropFirst(directory.count)
            return name.isEmpty || name.contains("/") ? nil : String(name)
        }
        return nil
    }
}

extension TunnelError {
    /// A target that cannot be used. `error` carries its own cure.
    init(_ error: NamespaceError) {
        switch error {
        case .system(let refusal) where refusal.errno.rawValue == EPERM || refusal.errno.rawValue == EACCES:
            self.init(.privileges, "opening the target: \(error)")
        default:
            self.init(.target, error.description)
        }
    }
}
