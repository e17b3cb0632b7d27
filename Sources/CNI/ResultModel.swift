import IPAddressing
import JSON
import PluginSupport
import Tunnels

/// What ADD answers, before it takes the form of a version. Specification 1.1.0, section 5, "ADD Success".
struct AddResult: Hashable, Sendable {
    struct Interface: Hashable, Sendable {
        var name: String
        /// CNI_NETNS word for word.
        var sandbox: String
        /// Bytes; 1.1.0 tells it.
        var mtu: Int?
    }

    struct Route: Hashable, Sendable {
        var destination: IPPrefix
        var gateway: IPAddress?
    }

    struct DNS: Hashable, Sendable {
        var nameservers: [String] = []
        var domain: String?
        var search: [String] = []
        var options: [String] = []

        var isEmpty: Bool { nameservers.isEmpty && domain == nil && search.isEmpty && options.isEmpty }
    }

    /// A WireGuard interface has no hardware address, but podman 4.3 refuses a sandbox interface without one.
    static let noHardwareAddress = "00:00:00:00:00:00"

    var interface: Interface
    /// On `interface`, in the file's order: the first is a pod's address.
    var addresses: [InterfaceAddress] = []
    var routes: [Route] = []
    var dns = DNS()
}

extension AddResult.DNS {
    /// From `dns` of a configuration or a result (`nameservers`, `domain`, `search`), or from `runtimeConfig.dns`
    /// (`servers`, `searches`). Anything of a wrong type counts as absent.
    init(_ value: JSONValue?) {
        func words(_ keys: String...) -> [String] {
            for key in keys { if let list = value?[key]?.elements { return list.compactMap(\.text) } }
            return []
        }
        self.init(
            nameservers: words("nameservers", "servers"), domain: value?["domain"]?.text,
            search: words("search", "searches"),
            options: words("options"))
    }

    /// What is wrong with a `dns` that a person or a runtime wrote: key, value, and what is wanted.
    static func problems(of value: JSONValue) -> [String] {
        var problems: [String] = []
        for (key, member) in (value.members ?? [:]).sorted(by: { $0.key < $1.key }) where !member.isNull {
            let words = member.elements?.map { $0.text ?? "" }
            switch key {
            case "nameservers", "servers":
                if words?.allSatisfy({ IPAddress($0) != nil }) != true {
                    problems.append("\(key): \(member.shown) is not a list of addresses")
                }
            case "search", "searches", "options":
                if words?.contains("") != false {
                    problems.append("\(key): \(member.shown) is not a list of words")
                }
            case "domain" where member.text == nil:
                problems.append("domain: \(member.shown) is \(member.kind), not a string")
            default: break
            }
        }
        return problems
    }

    var object: JSONValue {
        var members: [String: JSONValue] = [:]
        if !nameservers.isEmpty { members["nameservers"] = .array(nameservers.map(JSONValue.string)) }
        if let domain { members["domain"] = .string(domain) }
        if !search.isEmpty { members["search"] = .array(search.map(JSONValue.string)) }
        if !options.isEmpty { members["options"] = .array(options.map(JSONValue.string)) }
        return .object(members)
    }
}
