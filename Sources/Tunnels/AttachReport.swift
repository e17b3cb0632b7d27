import IPAddressing
import LinuxSystem
import WireGuardConfig
import WireGuardCrypto

/// What `attach` has made. Nothing in it is secret.
public struct AttachReport: Sendable {
    public var id: TunnelID
    public var interface: InterfaceName
    public var backend: BackendKind
    /// Why `auto` chose it, in words; nil when the caller chose.
    public var backendReason: String?
    public var publicKey: PublicKey
    /// The file that was used (of a pool: the chosen one).
    public var configurationPath: String?
    /// Addresses on the interface, in the file's order.
    public var addresses: [InterfaceAddress]
    /// Routes through the interface, from AllowedIPs.
    public var routes: [IPPrefix]
    public var mtu: Int
    public var dnsServers: [IPAddress]
    public var searchDomains: [String]
    /// The target's namespace file, if it has one.
    public var namespacePath: String?
    public var engine: ProcessIdentity?
    /// `wg show` finds an engine's tunnel by it.
    public var uapiSocketPath: String?
    /// Seconds until the first handshake, when it was waited for.
    public var handshakeSeconds: Double?
    /// What may not be meant, such as a DNS server that no AllowedIP covers.
    public var warnings: [String]
    /// What is as it should be, but worth a line, such as hooks that were not run.
    public var notices: [String]
}

extension AttachReport {
    init(
        _ id: TunnelID, _ request: AttachRequest, _ plan: TunnelPlan, _ choice: (kind: BackendKind, reason: String?),
        namespacePath: String?
    ) {
        self.id = id
        interface = plan.interface
        backend = choice.kind
        backendReason = choice.reason
        publicKey = plan.publicKey
        configurationPath = plan.configurationPath
        addresses = plan.addresses
        routes = plan.routes
        mtu = Int(plan.mtu)
        dnsServers = plan.dnsServers
        searchDomains = plan.searchDomains
        self.namespacePath = namespacePath
        warnings = plan.warnings
        notices = plan.notices
        if !plan.hooks.isEmpty, !request.runHooks { notices.append(plan.hooks.notice) }
    }
}

/// What implements a live device.
public enum BackendKind: String, Hashable, Sendable, Codable {
    case kernel
    case userspace
}
