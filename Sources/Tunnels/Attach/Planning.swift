import IPAddressing
import LinuxSystem
import Netlink
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel

/// What a request says about the plan besides the file.
struct PlanOptions: Sendable {
    var interface: InterfaceName
    var mtu: Int?
    var dns: [String]?
    var table: String?
    var addresses: [InterfaceAddress]?
    /// They come when everything else is done (`Planner.complete`).
    var addressesFollow = false
    var requiredAddresses: [IPAddress] = []
    var refuseWritableFiles = false
    var isForPlugin = false
}

extension AttachRequest {
    var planOptions: PlanOptions {
        PlanOptions(
            interface: interface, mtu: mtu, dns: dns, table: table, addresses: addresses,
            addressesFollow: addressSource != nil, requiredAddresses: requiredAddresses,
            refuseWritableFiles: refuseWritableFiles, isForPlugin: owner != nil)
    }
}

extension TunnelKeeper {
    /// Reads, validates and resolves a configuration, without making anything.
    func plan(
        _ source: ConfigurationSource, _ request: AttachRequest, _ birthplace: Birthplace
    ) throws(TunnelError) -> TunnelPlan {
        let loaded: LoadedConfiguration
        if case .pool(let directory) = source {
            loaded = try firstFree(of: directory, request.planOptions, birthplace)
        } else {
            loaded = try ConfigurationLoader.load(source, request.planOptions)
        }
        return try Planner.plan(loaded, request.planOptions, birthplace: birthplace.netlink)
    }
}

/// From a loaded configuration to a plan: options over file, endpoints resolved and the MTU found in the birth
/// namespace, and a warning for whatever may not be meant.
enum Planner {
    /// `live` is the device of a tunnel that is there, for `AllowedIPs` that are changes (`+`, `-`) to what it has.
    static func plan(
        _ loaded: LoadedConfiguration, _ options: PlanOptions, birthplace: RouteNetlink,
        updating live: DeviceConfiguration = DeviceConfiguration()
    ) throws(TunnelError) -> TunnelPlan {
        let file = loaded.configuration
        let (servers, domains) = try dns(file, options)
        let resolver = EndpointResolver(birthplace: birthplace, mark: file.firewallMark ?? 0)
        let names = file.endpointNames
        let endpoints = Dictionary(uniqueKeysWithValues: zip(names, try resolver.resolve(names)))
        let device = file.device(updating: live) { endpoints[$0] }
        var plan = TunnelPlan(
            publicKey: loaded.privateKey.publicKey, device: device, interface: options.interface,
            addresses: try addresses(loaded, options), table: try table(file, options), mtu: 0, dnsServers: servers,
            searchDomains: domains, hooks: file.hooks, savesConfiguration: file.saveConfig,
            configurationPath: loaded.path, secretPaths: loaded.secretPaths)
        plan.warnings = loaded.warnings
        plan.mtu = try mtu(file, options, &plan)
        plan.mtuIsGiven = options.mtu != nil || file.mtu != nil
        addWarnings(&plan, options)
        return plan
    }

    /// The addresses that `addressesFollow` announced.
    static func complete(_ plan: inout TunnelPlan, with addresses: [InterfaceAddress]) throws(TunnelError) {
        plan.addresses = addresses
        guard plan.hasIPv6, plan.mtu < TunnelMTU.leastForIPv6 else { return }
        guard !plan.mtuIsGiven else {
            throw TunnelError(
                .configuration, "an MTU of \(plan.mtu) is too small for the IPv6 address that ipam gave",
                cure: "use \(TunnelMTU.leastForIPv6) or more, or leave it out")
        }
        plan.warnings.append(
            "the way to the endpoint takes too few bytes for IPv6's least MTU \(TunnelMTU.leastForIPv6): packets will be fragmented"
        )
        plan.mtu = TunnelMTU.leastForIPv6
    }

    private static func addresses(
        _ loaded: LoadedConfiguration, _ options: PlanOptions
    ) throws(TunnelError) -> [InterfaceAddress] {
        let given = options.addresses ?? []
        if !given.isEmpty || options.addressesFollow {
            guard loaded.configuration.addresses.isEmpty else {
                throw TunnelError(
                    .configuration, "\(loaded.label) has Address=, and the network's ipam gives addresses as well",
                    cure: "keep one of the two")
            }
            return given
        }
        let addresses = loaded.configuration.addresses
        for address in options.requiredAddresses where !addresses.contains(where: { $0.address == address }) {
            throw TunnelError(
                .configuration, "\(loaded.label) has no Address= \(address), which was asked for",
                cure: "add it to the file, or ask for one of: \(addresses.map(\.description).joined(separator: ", "))")
        }
        return addresses
    }

    /// A name of rt_tables becomes its number.
    private static func table(_ file: TunnelConfiguration, _ options: PlanOptions) throws(TunnelError) -> RoutingTable {
        let table = try options.table.map { (text) throws(TunnelError) in try named(text) } ?? file.table ?? .auto
        guard case .name(let name) = table else { return table }
        if name == "main" { return .auto }
        guard let number = RoutingTableNames.number(of: name) else {
            throw TunnelError(
                .configuration, "\"\(printable(name))\" is no routing table",
                cure: "use auto, off, a number from 1 on, or a name of /etc/iproute2/rt_tables")
        }
        return number == 254 ? .auto : .number(number)
    }

    private static func named(_ text: String) throws(TunnelError) -> RoutingTable {
        switch text.lowercased() {
        case "auto": return .auto
        case "off": return .off
        default:
            guard let number = UInt32(text) else { return .name(text) }
            guard number > 0 else {
                throw TunnelError(.usage, "there is no routing table 0", cure: "use a number from 1 on")
            }
            return .number(number)
        }
    }

    private static func dns(
        _ file: TunnelConfiguration, _ options: PlanOptions
    ) throws(TunnelError) -> ([IPAddress], [String]) {
        guard let words = options.dns else { return (file.dnsServers, file.dnsSearchDomains) }
        var servers: [IPAddress] = []
        var domains: [String] = []
        for word in words where !word.isEmpty {
            if let server = IPAddress(word) {
                servers.append(server)
            } else if isHostName(word), word.utf8.contains(where: { !"0123456789.".utf8.contains($0) }) {
                domains.append(word)
            } else {
                throw TunnelError(
                    .usage, "\"\(printable(word))\" is neither a DNS server's address nor a search domain",
                    cure: "give words such as 10.0.0.1, fd00::1 or example.org, separated by commas")
            }
        }
        return (servers, domains)
    }

    private static func mtu(
        _ file: TunnelConfiguration, _ options: PlanOptions, _ plan: inout TunnelPlan
    ) throws(TunnelError) -> UInt32 {
        if let bytes = options.mtu ?? file.mtu.map(Int.init) {
            let least = Int(plan.hasIPv6 ? TunnelMTU.leastForIPv6 : TunnelMTU.leastForIPv4)
            guard (least...65535).contains(bytes) else {
                throw TunnelError(
                    options.mtu == nil ? .configuration : .usage, "an MTU of \(bytes) is out of range",
                    cure:
                        "use \(least) to 65535\(plan.hasIPv6 ? " (IPv6 needs \(TunnelMTU.leastForIPv6))" : ""), or leave it out"
                )
            }
            return UInt32(bytes)
        }
        let found = TunnelMTU.discover(
            endpoints: plan.device.peers.compactMap(\.endpoint), mark: plan.device.firewallMark, hasIPv6: plan.hasIPv6)
        if let warning = found.warning { plan.warnings.append(warning) }
        return found.bytes
    }

    private static func addWarnings(_ plan: inout TunnelPlan, _ options: PlanOptions) {
        if case .number(let number) = plan.table {
            plan.warnings.append("Table=\(number): no rule looks there, so nothing uses the tunnel until you add one")
        }
        if plan.addresses.isEmpty, !options.addressesFollow {
            plan.warnings.append("no Address=: programs in the namespace have no address to send from")
        }
        let allowed = plan.device.peers.flatMap(\.allowedIPs)
        if plan.dnsServers.isEmpty {
            plan.warnings.append("no DNS=: names will not resolve through the tunnel")
        }
        for server in plan.dnsServers where !allowed.contains(where: { $0.contains(server) }) {
            plan.warnings.append("no AllowedIPs covers the DNS server \(server): it cannot be reached")
        }
    }
}

/// Names of routing tables. ip-route(8), /etc/iproute2/rt_tables.
enum RoutingTableNames {
    static func number(of name: String) -> UInt32? {
        for path in ["/etc/iproute2/rt_tables", "/usr/share/iproute2/rt_tables"] {
            guard let text = try? File.readText(path) else { continue }
            for line in text.split(separator: "\n") {
                let words = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)[0]
                    .split(whereSeparator: { $0 == " " || $0 == "\t" })
                if words.count >= 2, words[1] == name, let number = UInt32(words[0]) { return number }
            }
        }
        return nil
    }
}
