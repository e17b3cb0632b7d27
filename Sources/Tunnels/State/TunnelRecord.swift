import IPAddressing
import LinuxSystem
import WireGuardCrypto

/// `state.json`: what a tunnel was made of. For reading by people and other programs too; no key is in it but
/// the public one.
public struct TunnelRecord: Codable, Sendable {
    public var format: Int
    public var id: String
    public var interface: String
    public var backend: BackendKind
    /// Base64.
    public var publicKey: String
    /// Nil when the configuration came from a pipe.
    public var configurationPath: String?
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

    public var engineProcess: ProcessIdentity? { engine?.identity }

    /// Device and inode of the target, as stat(2) gives them.
    public var namespaceIdentity: FileIdentity { namespace.identity }
}
