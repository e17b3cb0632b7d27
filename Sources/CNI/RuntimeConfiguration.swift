import IPAddressing
import JSON
import PluginSupport
import Tunnels

/// `runtimeConfig`: what the runtime asks for this one container, under the capabilities that the operator
/// declared. CONVENTIONS.md, "Dynamic Plugin specific fields".
struct RuntimeConfiguration: Hashable, Sendable {
    /// `ips`: addresses that the container shall have.
    var addresses: [String] = []
    /// `dns`: instead of the file's `DNS=`.
    var dns: AddResult.DNS?
    /// `io.kubernetes.cri.pod-annotations`.
    var annotations: [String: String] = [:]

    static let annotationsKey = "io.kubernetes.cri.pod-annotations"

    /// Capabilities that would silently not work behind a sole WireGuard interface: refused with the reason.
    private static let refused = [
        "portMappings": "publishing ports does not work yet: nothing but the tunnel leads into the namespace",
        "bandwidth": "traffic shaping does not work yet",
        "mac": "a WireGuard interface has no MAC address",
        "infinibandGUID": "a WireGuard interface is no InfiniBand device",
        "deviceID": "a WireGuard interface is no device of the host",
    ]

    init() {}

    /// - Throws: code 2 with key and value for a capability that we do not have; 7 for a wrong type.
    init(_ value: JSONValue?, hasDelegate: Bool) throws(PluginError) {
        for (key, member) in (value?.members ?? [:]).sorted(by: { $0.key < $1.key }) where !Self.isEmpty(member) {
            if let reason = Self.refused[key] {
                throw PluginError(.unsupportedField, "runtimeConfig.\(key): \(member.shown): \(reason)")
            }
            switch key {
            case "ips":
                guard let list = member.elements, list.allSatisfy({ $0.text.flatMap(InterfaceAddress.parse) != nil })
                else {
                    throw Self.wrong(key, member, "a list of addresses")
                }
                addresses = list.compactMap(\.text)
            case "ipRanges" where !hasDelegate:
                throw PluginError(
                    .unsupportedField,
                    "runtimeConfig.ipRanges: \(member.shown): addresses come from the WireGuard file; ranges need \"ipam\""
                )
            case "dns":
                guard let members = member.members else { throw Self.wrong(key, member, "an object") }
                // containerd writes Go's own names, with capitals.
                let lowered = members.map { ($0.key.lowercased(), $0.value) }
                let object = JSONValue.object(Dictionary(lowered, uniquingKeysWith: { first, _ in first }))
                if let problem = AddResult.DNS.problems(of: object).first {
                    throw PluginError(.invalidConfiguration, "runtimeConfig.dns.\(problem)")
                }
                let asked = AddResult.DNS(object)
                dns = asked.isEmpty ? nil : asked
            case Self.annotationsKey:
                guard let members = member.members else { throw Self.wrong(key, member, "an object") }
                annotations = members.compactMapValues(\.text)
            default: break
            }
        }
    }

    private static func wrong(_ key: String, _ value: JSONValue, _ wanted: String) -> PluginError {
        PluginError(.invalidConfiguration, "runtimeConfig.\(key): \(value.shown) is not \(wanted)")
    }

    /// Runtimes send `[]`, `{}`, `""` and `null` for "nothing asked".
    private static func isEmpty(_ value: JSONValue) -> Bool {
        switch value {
        case .null: true
        // Runtimes send a result's MAC address back; the one that we give stands for none.
        case .string(let text): text.isEmpty || text == AddResult.noHardwareAddress
        case .array(let list): list.isEmpty
        case .object(let members): members.isEmpty
        default: false
        }
    }
}
