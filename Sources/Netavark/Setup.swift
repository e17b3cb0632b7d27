import IPAddressing
import JSON
import PluginSupport
import Tunnels

extension NetavarkCall {
    /// `mac_address` is compulsory in an answer, and a WireGuard interface has none.
    static let noHardwareAddress = "00:00:00:00:00:00"

    /// `setup NETNS`: the tunnel as the container's only interface. No teardown follows a failed setup, so
    /// everything is undone here (`attach` does that).
    func setUp(_ namespacePath: String) throws(NetavarkError) -> JSONValue {
        let root = try document()
        let network = try NetworkDescription(root["network"])
        let container = try ContainerOptions(root)
        if !container.refusals.isEmpty { throw NetavarkError(container.refusals.joined(separator: "; ")) }
        let options = try NetworkOptions(network.options)
        let source = try container.source(options)
        do {
            var request = AttachRequest(
                configuration: source, target: .path(namespacePath), interface: try InterfaceName(container.interface))
            request.owner = container.owner(of: network)
            request.engine = options.engine
            request.mtu = options.mtu
            request.soleInterface = options.soleInterface
            request.waitSeconds = options.handshakeSeconds
            request.requiredAddresses = container.addresses
            request.ownControlGroup = true
            request.refuseWritableFiles = true
            if !network.nameservers.isEmpty { request.dns = network.nameservers }
            let report = try tunnels(options.stateDirectory).attach(request)
            for line in report.warnings { log("warning: \(line)") }
            for line in report.notices { log(OptionWords.options.translated(line)) }
            return statusBlock(report)
        } catch {
            throw NetavarkError(error)
        }
    }

    /// types.StatusBlock.
    private func statusBlock(_ report: AttachReport) -> JSONValue {
        let subnets = report.addresses.map { JSONValue.object(["ipnet": .string("\($0.address)/\($0.length)")]) }
        return .object([
            "dns_server_ips": .array(report.dnsServers.map { .string($0.description) }),
            "dns_search_domains": .array(report.searchDomains.map(JSONValue.string)),
            "interfaces": .object([
                report.interface.text: .object([
                    "mac_address": .string(Self.noHardwareAddress), "subnets": .array(subnets),
                ])
            ]),
        ])
    }
}
