import IPAddressing
import JSON
import PluginSupport

extension AddResult {
    /// The result in the form of `version`, on top of what earlier plugins of the chain answered.
    ///
    /// - Parameter previous: `prevResult` as it came, in the same version's form; its foreign members stay.
    /// - Throws: code 7 when the form of the version cannot say it (an old version without any address).
    func encoded(_ version: SpecificationVersion, previous: JSONValue?) throws(PluginError) -> JSONValue {
        var members = previous?.members ?? [:]
        members["cniVersion"] = .string(version.rawValue)
        if version.hasInterfaces {
            let before = members["interfaces"]?.elements ?? []
            members["interfaces"] = .array(before + [interfaceObject(version)])
            let index = JSONValue.integer(Int64(before.count))
            members["ips"] = .array(
                (members["ips"]?.elements ?? []) + addresses.map { addressObject($0, index, version) })
            members["routes"] = .array((members["routes"]?.elements ?? []) + routes.map { routeObject($0, version) })
        } else {
            try encodeOldForm(&members)
        }
        members["dns"] = mergedDNS(members["dns"]).object
        return .object(members)
    }

    private func interfaceObject(_ version: SpecificationVersion) -> JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(interface.name), "mac": .string(Self.noHardwareAddress),
            "sandbox": .string(interface.sandbox),
        ]
        if version.hasLinkAttributes, let mtu = interface.mtu { members["mtu"] = .integer(Int64(mtu)) }
        return .object(members)
    }

    private func addressObject(_ address: InterfaceAddress, _ index: JSONValue, _ version: SpecificationVersion)
        -> JSONValue
    {
        var members: [String: JSONValue] = [
            "interface": index, "address": .string("\(address.address)/\(address.length)"),
        ]
        if version.hasAddressVersion { members["version"] = .string(address.address.isIPv4 ? "4" : "6") }
        return .object(members)
    }

    private func routeObject(_ route: Route, _ version: SpecificationVersion) -> JSONValue {
        var members: [String: JSONValue] = ["dst": .string(route.destination.description)]
        if let gateway = route.gateway { members["gw"] = .string(gateway.description) }
        return .object(members)
    }

    /// 0.1.0 and 0.2.0: `ip4` and `ip6`, one address each, with that family's routes.
    private func encodeOldForm(_ members: inout [String: JSONValue]) throws(PluginError) {
        for (key, isIPv4) in [("ip4", true), ("ip6", false)] {
            guard let address = addresses.first(where: { $0.address.isIPv4 == isIPv4 }) else { continue }
            members[key] = .object([
                "ip": .string("\(address.address)/\(address.length)"),
                "routes": .array(
                    routes.filter { $0.destination.address.isIPv4 == isIPv4 }.map { routeObject($0, .v0_2_0) }),
            ])
        }
        guard members["ip4"] != nil || members["ip6"] != nil else {
            throw PluginError(
                .invalidConfiguration, "cniVersion before 0.3.0 cannot describe an interface without an address",
                details: "use cniVersion 1.0.0")
        }
    }

    /// Ours first: behind a sole WireGuard interface only they can be reached.
    private func mergedDNS(_ earlier: JSONValue?) -> DNS {
        let before = DNS(earlier)
        func appending(_ more: [String], to list: [String]) -> [String] { list + more.filter { !list.contains($0) } }
        return DNS(
            nameservers: appending(before.nameservers, to: dns.nameservers), domain: dns.domain ?? before.domain,
            search: appending(before.search, to: dns.search), options: appending(before.options, to: dns.options))
    }
}
