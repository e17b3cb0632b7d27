/// On whose behalf a tunnel exists, for plugins: recorded in its state, and found by it in DEL and GC.
public struct Owner: Hashable, Sendable, Codable {
    /// `cni` or `netavark`.
    public var runtime: String
    /// The network's name: GC works on one network at a time.
    public var network: String
    public var containerID: String
    /// CNI_IFNAME, or netavark's `interface_name`.
    public var interface: String
    /// For `list`, and `TUNNEL` as `namespace/pod`.
    public var podNamespace: String?
    public var podName: String?
    public var containerName: String?

    public init(
        runtime: String, network: String, containerID: String, interface: String, podNamespace: String? = nil,
        podName: String? = nil, containerName: String? = nil
    ) {
        self.runtime = runtime
        self.network = network
        self.containerID = containerID
        self.interface = interface
        self.podNamespace = podNamespace
        self.podName = podName
        self.containerName = containerName
    }

    /// The id of this owner's tunnel.
    public var tunnelID: TunnelID { TunnelID(network: network, container: containerID, interface: interface) }
}
