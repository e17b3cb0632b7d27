import LinuxSystem
import PluginSupport
import Tunnels

extension PluginCall {
    /// DEL: no tunnel, no lease, no address afterwards, whatever is missing: namespace, prevResult, the network's
    /// name, the tunnel itself.
    ///
    /// CNI_NETNS is not looked at. What belongs to the container is in our state, with the identity of its
    /// namespace; the path may lead to another one by now.
    func delete() throws(PluginError) {
        let configuration: TeardownConfiguration
        do {
            configuration = try TeardownConfiguration(input)
        } catch {
            // No network, no delegate to reach: that is a failure. What is ours goes all the same.
            throw PluginError.first(of: [error] + detach(network: nil, stateDirectory: nil)) ?? error
        }
        for line in configuration.notices { log(line) }
        var delegate: DelegateRun?
        let refusals = failures { () throws(PluginError) in
            guard let type = configuration.ipamType else { return }
            delegate = try DelegateRun(
                self.delegate(type, configuration.document, variablesForTeardown), .delete)
        }
        var errors = detach(network: configuration.name, stateDirectory: configuration.stateDirectory) + refusals
        if let delegate { errors += failures { () throws(PluginError) in try delegate.finish() } }
        if let error = PluginError.first(of: errors) { throw error }
    }

    /// Delegates built on the reference library refuse the plugin's own namespace even for DEL. It is none of
    /// the container's, so they are told of none.
    private var variablesForTeardown: EnvironmentVariables {
        guard isOwnNamespace else { return variables }
        return variables.setting("CNI_NETNS", to: "")
    }

    private func detach(network: String?, stateDirectory: String?) -> [PluginError] {
        let service = tunnels(stateDirectory)
        do {
            var errors: [TunnelError] = []
            for id in try identifiers(network, service) {
                let report = try service.detach(id)
                errors += report.errors
            }
            return errors.map { PluginError($0) }
        } catch {
            return [PluginError(error)]
        }
    }

    /// Without a network's name: every tunnel that some network of ours gave to this interface.
    private func identifiers(_ network: String?, _ service: any TunnelService) throws(TunnelError) -> [TunnelID] {
        if let network { return [owner(network: network).tunnelID] }
        return try service.list().filter { summary in
            guard let owner = summary.owner else { return false }
            return owner.runtime == Self.runtime && owner.containerID == environment.containerID
                && owner.interface == environment.interface
        }.map(\.id)
    }
}
