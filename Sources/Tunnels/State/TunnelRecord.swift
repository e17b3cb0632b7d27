import IPAddressing
import LinuxSystem
import WireGuardConfig
import WireGuardCrypto

/// `state.json`: what a tunnel was made of. For reading by people and other programs too; no key is in it but
/// the public one.
public struct TunnelRecord: StateDocument, Sendable {
    public var format: Int
    public var id: String
    public var interface: String
    public var backend: BackendKind
    /// Base64.
    public var publicKey: String
    /// Nil when the configuration came from a pipe.
    public var configurationPath: String?
    /// Every file that a key was read from, the configuration among them; nil from a version that did not note them.
    public var secretPaths: [String]?
    /// The pool it was taken from.
    public var pool: String?
    public var owner: Owner?
    /// As the user said it.
    public var target: String
    /// A file that leads to the target, if it has one.
    public var namespacePath: String? { namespace.path }
    var namespace: NamespaceReference
    var birthplace: NamespaceReference
    /// `ADDRESS/LENGTH[ peer PREFIX]`.
    public var addresses: [String]
    public var routes: [String]
    /// `auto`, `off` or a table's number.
    public var table: String
    public var mtu: Int
    public var dnsServers: [String]
    public var searchDomains: [String]
    public var soleInterface: Bool
    public var runHooks: Bool
    public var savesConfiguration: Bool
    /// The engine: nil with the kernel's driver.
    var engine: RecordedProcess?
    public var enginePath: String?
    public var engineVersion: String?
    public var uapiSocketPath: String?
    /// Seconds since 1970.
    public var attachedAt: Int64
    public var bootID: String
    /// How the request said it, so that repair makes the same again.
    var requestedMTU: Int?
    var requestedDNS: [String]?
    var requestedTable: String?
    var requestedAddresses: [String]?
    /// Set while `set` works: addresses and routes are then those before and those to come, and may be there or not.
    var isReloading: Bool?

    public var engineProcess: ProcessIdentity? { engine?.identity }

    /// Absolute, each once.
    var filesWithKeys: [String] {
        Set((secretPaths ?? []) + (configurationPath.map { [$0] } ?? [])).sorted()
    }

    /// Device and inode of the target, as stat(2) gives them.
    public var namespaceIdentity: FileIdentity { namespace.identity }
}

extension TunnelRecord {
    init(
        _ id: TunnelID, _ request: AttachRequest, _ plan: TunnelPlan, _ backend: BackendKind,
        _ namespace: NamespaceReference, _ birthplace: Birthplace
    ) {
        format = StateFile.format
        self.id = id.text
        interface = plan.interface.text
        self.backend = backend
        publicKey = plan.publicKey.base64
        configurationPath = plan.configurationPath
        pool = plan.pool
        owner = request.owner
        target = request.target.description
        self.namespace = namespace
        self.birthplace = birthplace.reference
        addresses = []
        routes = []
        table = ""
        mtu = 0
        dnsServers = plan.dnsServers.map(\.description)
        searchDomains = plan.searchDomains
        soleInterface = request.soleInterface
        runHooks = request.runHooks
        savesConfiguration = plan.savesConfiguration
        attachedAt = WallTime.now.seconds
        bootID = birthplace.bootID
        requestedMTU = request.mtu
        requestedDNS = request.dns
        requestedTable = request.table
        requestedAddresses = request.addresses?.map(\.description)
        follow(plan)
    }

    /// The addresses that came after the device (`AttachRequest.addressSource`), and what follows from them.
    mutating func assign(_ assigned: [InterfaceAddress], _ plan: TunnelPlan) {
        requestedAddresses = assigned.map(\.description)
        follow(plan)
    }

    /// What the interface was given.
    mutating func follow(_ plan: TunnelPlan) {
        addresses = plan.addresses.map(\.description)
        routes = plan.routes.map(\.description)
        table = plan.table.description
        mtu = Int(plan.mtu)
        secretPaths = plan.secretPaths
    }
}
