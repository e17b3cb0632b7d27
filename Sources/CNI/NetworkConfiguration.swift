import IPAddressing
import JSON
import PluginSupport
import Tunnels

/// The network configuration as ADD, CHECK and STATUS take it: strictly, every mistake in one message.
/// DEL and GC read a `TeardownConfiguration` instead.
struct NetworkConfiguration: Sendable {
    var version: SpecificationVersion
    var name: String
    var source: Source
    var engine: EngineChoice = .automatic
    /// Bytes.
    var mtu: Int?
    var soleInterface = true
    /// Nil does not wait.
    var handshakeSeconds: Double?
    var stateDirectory: String?
    /// Whether STATUS calls an exhausted pool ready.
    var exhaustedIsReady = false
    var choice = ChoiceRules()
    /// The delegate's `type`.
    var ipamType: String?
    var dns: AddResult.DNS?
    var runtime = RuntimeConfiguration()
    /// `args.cni.ips`, as it came.
    var argumentAddresses: [String] = []
    var previousResult: JSONValue?
    /// Word for word, for delegates.
    var document: [UInt8]
    /// Keys of other people, for one line on standard error.
    var foreignKeys: [String] = []

    /// Where the wg-quick files are.
    enum Source: Hashable, Sendable {
        /// `config`: one file, one container.
        case file(String)
        /// `configDir`: a pool.
        case pool(directory: String)
    }

    /// What a container may choose for itself.
    struct ChoiceRules: Hashable, Sendable {
        /// `allowChoice`; empty means that it may not choose.
        var globs: [String] = []
        /// `byName`: the pod's name is the choice.
        var byName = false
    }

    static let ownKeys = [
        "config", "configDir", "engine", "mtu", "soleInterface", "waitForHandshake", "stateDir", "exhaustedIsReady",
        "allowChoice", "byName",
    ]

    /// Keys of the specification and its conventions, which any plugin gets.
    static let commonKeys = [
        "cniVersion", "cniVersions", "name", "type", "args", "ipMasq", "ipam", "dns", "capabilities", "runtimeConfig",
        "prevResult", "disableCheck", "disableGC", "loadOnlyInlinedPlugins",
    ]

    /// - Throws: code 6 for what is no JSON object, 1 for a version that we do not speak, 2 for a capability that
    ///   we do not have, 7 for the rest.
    init(_ bytes: [UInt8]) throws(PluginError) {
        let root = try Self.object(bytes)
        version = try Self.version(of: root)
        var reader = KeyReader(root)
        document = bytes
        name = reader.networkName()
        foreignKeys = reader.findForeignKeys()
        source = .pool(directory: "")
        source = reader.source()
        engine = reader.engine()
        mtu = reader.mtu()
        soleInterface = reader.flag("soleInterface") ?? true
        handshakeSeconds = reader.handshakeWait()
        stateDirectory = reader.absolutePath("stateDir")
        exhaustedIsReady = reader.flag("exhaustedIsReady") ?? false
        choice = reader.choiceRules()
        ipamType = reader.ipamType()
        dns = reader.dns()
        previousResult = reader.object("prevResult")
        argumentAddresses = reader.argumentAddresses()
        let runtimeObject = reader.object("runtimeConfig")
        try reader.throwProblems()
        runtime = try RuntimeConfiguration(runtimeObject, hasDelegate: ipamType != nil)
    }

    static func object(_ bytes: [UInt8]) throws(PluginError) -> JSONValue {
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes)
        } catch {
            throw PluginError(.undecodable, "the network configuration on standard input is unusable: \(error.reason)")
        }
        guard value.members != nil else {
            throw PluginError(
                .undecodable, "the network configuration on standard input is \(value.kind), not an object")
        }
        return value
    }

    static func version(of root: JSONValue) throws(PluginError) -> SpecificationVersion {
        guard let value = root["cniVersion"], value != .string("") else { return .whenAbsent }
        guard let text = value.text else {
            throw PluginError(.invalidConfiguration, "cniVersion: \(value.shown) is \(value.kind), not a string")
        }
        guard let version = SpecificationVersion(rawValue: text) else {
            throw PluginError(
                .incompatibleVersion, "cniVersion \(value.shown) is not spoken here",
                details: "configuration: \(value.shown), plugin: \(SpecificationVersion.allCases.map(\.rawValue))")
        }
        return version
    }
}
