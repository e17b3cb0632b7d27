import LinuxSystem

/// What shall get a tunnel, as the user says it. It is resolved once to a descriptor, and only that is used
/// from then on (promise P5).
public enum Target: Hashable, Sendable {
    /// A namespace file: `/run/netns/blue`, `/proc/42/ns/net`, what CNI_NETNS holds.
    case path(String)
    /// A namespace of ip-netns(8).
    case name(String)
    /// The network namespace of a live process.
    case process(Int32)
    /// A container of podman, docker or containerd, by name or id.
    case container(String)
}

extension Target: CustomStringConvertible {
    public var description: String {
        switch self {
        case .path(let path): "network namespace \(printable(path))"
        case .name(let name): "network namespace \"\(printable(name))\""
        case .process(let pid): "the network namespace of process \(pid)"
        case .container(let name): "container \"\(printable(name))\""
        }
    }
}
