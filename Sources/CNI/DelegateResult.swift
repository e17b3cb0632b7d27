import IPAddressing
import JSON
import PluginSupport
import Tunnels

/// What an IPAM plugin answered to ADD, in any version's form.
struct DelegateResult: Hashable, Sendable {
    var addresses: [InterfaceAddress] = []
    var routes: [IPPrefix] = []
    var dns = AddResult.DNS()

    /// - Throws: code 102 for what is no result, or one without an address.
    init(_ output: [UInt8], from delegate: Delegate) throws(PluginError) {
        func wrong(_ what: String) -> PluginError {
            PluginError(.delegateFailed, "ipam plugin \(delegate.path) answered \(what)")
        }
        let root: JSONValue
        do {
            root = try JSONValue.parse(output)
        } catch {
            throw wrong("something that is \(error.reason)")
        }
        guard root.members != nil else { throw wrong("\(root.kind) instead of a result") }
        let old = [root["ip4"], root["ip6"]].compactMap { $0 }
        let texts = (root["ips"]?.elements ?? []).map { $0["address"] } + old.map { $0["ip"] }
        for text in texts {
            guard let address = text?.text.flatMap({ InterfaceAddress($0) }) else {
                throw wrong("the address \(text?.shown ?? "null"), which is none")
            }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw wrong("no address") }
        for route in (root["routes"]?.elements ?? []) + old.flatMap({ $0["routes"]?.elements ?? [] }) {
            guard let destination = route["dst"]?.text.flatMap({ IPPrefix($0) }) else {
                throw wrong("the route \(route.shown), which is none")
            }
            routes.append(destination)
        }
        dns = AddResult.DNS(root["dns"])
    }
}
