import JSON
import PluginSupport
import Tunnels

/// What DEL and GC read of a network configuration, and nothing else: a configuration that was edited since ADD,
/// badly perhaps, must not keep a container from being torn down. What is wrong counts as absent.
struct TeardownConfiguration: Sendable {
    /// Nil when there is none: DEL then goes by container and interface alone.
    var name: String?
    var stateDirectory: String?
    var ipamType: String?
    var document: [UInt8]
    /// What was passed over, for standard error.
    var notices: [String] = []
    private var root: JSONValue

    /// - Throws: code 6 for what is no JSON object. The delegate, if there was one, cannot be known then.
    init(_ bytes: [UInt8]) throws(PluginError) {
        root = try NetworkConfiguration.object(bytes)
        document = bytes
        if let text = root["name"]?.text, isSpecificationName(text) {
            name = text
        } else {
            notices.append("the network configuration has no usable \"name\"")
        }
        if let value = root["stateDir"] {
            stateDirectory = value.text.flatMap { $0.hasPrefix("/") ? $0 : nil }
            if stateDirectory == nil { notices.append("stateDir: \(value.shown) is not an absolute path; passed over") }
        }
        if let ipam = root["ipam"], ipam.members?.isEmpty != true {
            ipamType = ipam["type"]?.text.flatMap { isDelegateName($0) ? $0 : nil }
            if ipamType == nil { notices.append("ipam: \(ipam.shown) names no plugin; passed over") }
        }
    }

    /// The configuration's version, for GC.
    func version() throws(PluginError) -> SpecificationVersion { try NetworkConfiguration.version(of: root) }

    /// For error objects: never a failure.
    var answerVersion: SpecificationVersion { (try? version()) ?? .current }

    /// The attachments that GC must leave alone, or nil when the runtime did not say (or said it unreadably).
    ///
    /// Specification 1.1.0 has `cni.dev/valid-attachments`; `cni.dev/attachments` is libcni's older name. A list
    /// that is `null` is empty: Go writes empty lists so. With both, what stands in either is valid.
    var validAttachments: Set<Attachment>? {
        let keys = ["cni.dev/valid-attachments", "cni.dev/attachments"]
        let given = keys.compactMap { root.members?[$0] }
        if given.isEmpty { return nil }
        var valid: Set<Attachment> = []
        for list in given where !list.isNull {
            guard let entries = list.elements else { return nil }
            for entry in entries {
                // One entry that cannot be read could be a live container: then nothing is known.
                guard let container = entry["containerID"]?.text, let interface = entry["ifname"]?.text else {
                    return nil
                }
                valid.insert(Attachment(containerID: container, interface: interface))
            }
        }
        return valid
    }
}
