import Glibc
import IPAddressing
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// What `setup` and `teardown` are told about one container. Plugin API 1.0.0, types.NetworkPluginExec.
struct ContainerOptions: Sendable {
    var containerID: String
    var containerName: String?
    var interface: String
    /// `--ip`, `--ip6`.
    var addresses: [IPAddress] = []
    /// `--network NET:config=NAME`.
    var choice: String?
    /// What we cannot do; empty is the normal case. `teardown` does not look at it.
    var refusals: [String] = []

    init(_ root: JSONValue) throws(NetavarkError) {
        containerID = root["container_id"]?.text ?? ""
        containerName = root["container_name"]?.text
        interface = root["network_options"]?["interface_name"]?.text ?? ""
        guard !containerID.isEmpty, !interface.isEmpty else {
            throw NetavarkError("container_id or network_options.interface_name is missing in the input")
        }
        let options = root["network_options"]
        for text in (options?["static_ips"]?.elements ?? []).compactMap(\.text) {
            if let address = IPAddress(text) {
                addresses.append(address)
            } else {
                refusals.append("the address \(JSONValue.string(text).shown) is none")
            }
        }
        if let mac = options?["static_mac"]?.text, !mac.isEmpty, mac != NetavarkCall.noHardwareAddress {
            refusals.append("--mac-address \(printable(mac)): a WireGuard interface has no MAC address")
        }
        if let ports = root["port_mappings"]?.elements, !ports.isEmpty {
            refusals.append(
                "publishing ports (\(JSONValue.array(ports).shown)) does not work yet: nothing but the tunnel leads into the container"
            )
        }
        for (key, value) in (options?["options"]?.members ?? [:]).sorted(by: { $0.key < $1.key }) {
            if key == "config", let text = value.text {
                choice = text
            } else {
                let meant = KeySpelling.intended(by: key, among: ["config"])
                refusals.append(
                    "the network option \(printable(key)) is not known per container; \(meant == nil ? "only \"config\" is" : "did you mean \"config\"?")"
                )
            }
        }
    }

    /// The operator's source, or the file that `config=NAME` names: a file of the pool (or beside the one file),
    /// never a path out of it, and only what `allowChoice` lets pass when the network has it.
    func source(_ options: NetworkOptions) throws(NetavarkError) -> ConfigurationSource {
        let folder: String
        switch options.source {
        case .file(let path):
            guard choice != nil else { return .file(path) }
            folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        case .pool(let directory):
            guard choice != nil else { return .pool(directory: directory) }
            folder = directory
        }
        let choice = choice ?? ""
        let file = Self.withSuffix(choice)
        guard Self.isPlainName(choice) else {
            throw NetavarkError(
                "config=\(JSONValue.string(choice).shown) is not the name of a configuration in \(printable(folder))")
        }
        if let globs = options.globs {
            let name = String(file.dropLast(5))
            guard globs.contains(where: { fnmatch($0, name, FNM_PERIOD) == 0 || fnmatch($0, file, FNM_PERIOD) == 0 })
            else {
                throw NetavarkError(
                    "config=\(JSONValue.string(choice).shown) is not among what allowChoice lets containers choose")
            }
        }
        return .file("\(folder)/\(file)")
    }

    func owner(of network: NetworkDescription) -> Owner {
        Owner(
            runtime: NetavarkCall.runtime, network: network.name, containerID: containerID, interface: interface,
            containerName: containerName)
    }

    static func withSuffix(_ name: String) -> String { name.hasSuffix(".conf") ? name : name + ".conf" }

    static func isPlainName(_ text: String) -> Bool {
        !text.isEmpty && !text.hasPrefix(".") && !text.contains("/") && !text.utf8.contains { $0 < 0x20 }
    }
}
