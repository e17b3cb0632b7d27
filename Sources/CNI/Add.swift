import IPAddressing
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

extension PluginCall {
    /// ADD: the tunnel as the container's only interface.
    ///
    /// The delegate runs beside the making of the tunnel, which needs its addresses last; whatever fails, the
    /// delegate gets its DEL and `attach` has undone itself. Runtimes send a DEL after a failed ADD, but not all.
    /// Of two failures the container's own (its key, its file) is told before the delegate's, and that before the
    /// kernel's about the device.
    func add() throws(PluginError) -> JSONValue {
        let configuration = try NetworkConfiguration(input)
        if !configuration.foreignKeys.isEmpty {
            log("keys without meaning here: \(configuration.foreignKeys.joined(separator: ", "))")
        }
        if isOwnNamespace, !environment.mayUseOwnNamespace {
            throw PluginError(
                .invalidNamespace,
                "CNI_NETNS=\(printable(environment.networkNamespace)) is the plugin's own network namespace",
                details: "the container's namespace is wanted; the host's would lose its network")
        }
        let arguments = try CNIArguments(environment.arguments)
        let source = try ContainerChoice(configuration: configuration, arguments: arguments).source()
        var request = try request(configuration, arguments, source)
        guard let type = configuration.ipamType else { return try attach(request, configuration, nil) }
        let assignment = AddressAssignment(try delegate(type, configuration.document))
        request.addressSource = assignment
        do throws(PluginError) {
            return try attach(request, configuration, assignment)
        } catch {
            // A delegate that failed half-way, or whose answer was rubbish, may hold an address.
            throw PluginError.first(of: [error] + assignment.takeBack()) ?? error
        }
    }

    private func request(
        _ configuration: NetworkConfiguration, _ arguments: CNIArguments, _ source: ConfigurationSource
    ) throws(PluginError) -> AttachRequest {
        let interface: InterfaceName
        do {
            interface = try InterfaceName(environment.interface)
        } catch {
            throw PluginError(.invalidEnvironment, "CNI_IFNAME: \(error.message)")
        }
        var request = AttachRequest(
            configuration: source, target: .path(environment.networkNamespace), interface: interface)
        request.owner = owner(network: configuration.name, arguments: arguments)
        request.engine = configuration.engine
        request.mtu = configuration.mtu
        request.soleInterface = configuration.soleInterface
        request.waitSeconds = configuration.handshakeSeconds
        request.ownControlGroup = true
        request.refuseWritableFiles = true
        if let dns = configuration.runtime.dns ?? configuration.dns, !dns.nameservers.isEmpty || !dns.search.isEmpty {
            request.dns = dns.nameservers + dns.search
        }
        if configuration.ipamType == nil {
            request.requiredAddresses = try requestedAddresses(configuration, arguments)
        }
        return request
    }

    /// What the runtime wants the container's addresses to be; with `ipam` that is the delegate's business.
    /// CONVENTIONS.md: the capability before `args.cni.ips` before CNI_ARGS.
    private func requestedAddresses(
        _ configuration: NetworkConfiguration, _ arguments: CNIArguments
    ) throws(PluginError) -> [IPAddress] {
        let candidates = [
            configuration.runtime.addresses, configuration.argumentAddresses, arguments.addresses,
        ]
        var addresses: [IPAddress] = []
        for text in candidates.first(where: { !$0.isEmpty }) ?? [] {
            guard let parsed = InterfaceAddress.parse(text) else {
                throw PluginError(
                    .invalidConfiguration, "the requested address \(JSONValue.string(text).shown) is none")
            }
            addresses.append(parsed.address)
        }
        return addresses
    }

    private func attach(
        _ request: AttachRequest, _ configuration: NetworkConfiguration, _ assignment: AddressAssignment?
    ) throws(PluginError) -> JSONValue {
        let ownDNS = configuration.runtime.dns ?? configuration.dns
        let service = tunnels(configuration.stateDirectory)
        let report: AttachReport
        do {
            report = try service.attach(request)
        } catch {
            throw assignment?.failure(within: error) ?? PluginError(error)
        }
        let assigned = assignment?.result
        for line in report.warnings { log("warning: \(line)") }
        for line in report.notices { log(OptionWords.keys.translated(line)) }
        for route in assigned?.routes ?? [] where !report.routes.contains(where: { $0.contains(route) }) {
            log("warning: the route \(route) of ipam leads nowhere: no AllowedIPs holds it")
        }
        var result = AddResult(
            interface: .init(name: report.interface.text, sandbox: environment.networkNamespace, mtu: report.mtu),
            addresses: report.addresses, routes: report.routes.map { .init(destination: $0) })
        result.dns = AddResult.DNS(
            nameservers: report.dnsServers.map(\.description), domain: ownDNS?.domain, search: report.searchDomains,
            options: ownDNS?.options ?? [])
        if result.dns.isEmpty, let dns = assigned?.dns { result.dns = dns }
        do {
            return try result.encoded(configuration.version, previous: configuration.previousResult)
        } catch {
            _ = try? service.detach(report.id)
            throw error
        }
    }
}
