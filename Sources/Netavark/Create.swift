import IPAddressing
import JSON
import PluginSupport
import Tunnels

extension NetavarkCall {
    /// `create`: podman asks once, at `podman network create`. The answer is the network as it will be kept.
    ///
    /// Mistakes are told here, where a person sees them, and not at the first container.
    func create() throws(NetavarkError) -> JSONValue {
        let network = try NetworkDescription(try document())
        _ = try NetworkOptions(network.options)
        if let subnets = network.root["subnets"]?.elements, !subnets.isEmpty {
            throw NetavarkError("--subnet: addresses come from the WireGuard configuration; leave it out")
        }
        if let routes = network.root["routes"]?.elements, !routes.isEmpty {
            throw NetavarkError("--route: routes come from the AllowedIPs of the WireGuard configuration; leave it out")
        }
        if let wrong = network.nameservers.first(where: { IPAddress($0) == nil }) {
            throw NetavarkError("--dns \(JSONValue.string(wrong).shown) is no address")
        }
        if network.root["internal"]?.flag == true {
            throw NetavarkError("--internal: the tunnel is the only way out already; leave it out")
        }
        var members = network.root.members ?? [:]
        // Podman's own name server would answer on an address that the tunnel does not reach.
        members["dns_enabled"] = .bool(false)
        return .object(members)
    }
}
