import LinuxSystem
import PluginSupport
import Tunnels

/// CNI_ARGS: `KEY=VALUE;KEY=VALUE`. CONVENTIONS.md of the specification, "CNI_ARGS".
struct CNIArguments: Hashable, Sendable {
    /// SWG_CONFIG: the configuration that the container asks for.
    var configuration: String?
    /// IP: of podman's `--ip`; the reference plugins take several with commas between them.
    var addresses: [String] = []
    var podNamespace: String?
    var podName: String?

    /// podman sends the address of a result back at `network reload`; the one that we give stands for none.
    ///
    /// - Parameter strict: false for DEL, which must work whatever the runtime sends.
    /// - Throws: code 4 for text that is no list of pairs, or a key that nobody knows and IgnoreUnknown does not
    ///   excuse; code 2 for MAC, which a WireGuard interface cannot have.
    init(_ text: String, strict: Bool = true) throws(PluginError) {
        var pairs: [(key: String, value: String)] = []
        for part in text.split(separator: ";", omittingEmptySubsequences: true) {
            guard let equals = part.firstIndex(of: "=") else {
                if !strict { continue }
                throw PluginError(.invalidEnvironment, "CNI_ARGS: \"\(printable(String(part)))\" is not KEY=VALUE")
            }
            pairs.append((String(part[..<equals]), String(part[part.index(after: equals)...])))
        }
        // The order of the pairs changes from call to call: look for the excuse first.
        let ignoresUnknown = pairs.contains { $0.key == "IgnoreUnknown" && Self.isTrue($0.value) }
        for (key, value) in pairs {
            switch key {
            case "SWG_CONFIG": configuration = value
            case "IP": addresses = value.split(separator: ",").map(String.init)
            case "K8S_POD_NAMESPACE": podNamespace = value
            case "K8S_POD_NAME": podName = value
            case "IgnoreUnknown", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID": break
            case "MAC" where strict && !value.isEmpty && value != AddResult.noHardwareAddress:
                throw PluginError(
                    .unsupportedField, "CNI_ARGS MAC=\(printable(value)): a WireGuard interface has no MAC address",
                    details: "leave --mac-address out")
            default:
                if strict, let meant = KeySpelling.intended(by: key, among: ["SWG_CONFIG"]) {
                    throw PluginError(
                        .invalidEnvironment, "CNI_ARGS \(printable(key)) is not known; did you mean \(meant)?")
                }
                if strict, !ignoresUnknown, key != "MAC" {
                    throw PluginError(
                        .invalidEnvironment, "CNI_ARGS \(printable(key))=\(printable(value)) is not known here",
                        details: "IgnoreUnknown=1 in CNI_ARGS lets foreign keys pass")
                }
            }
        }
    }

    private static func isTrue(_ text: String) -> Bool { text == "1" || text.lowercased() == "true" }
}
