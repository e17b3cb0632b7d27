import JSON
import PluginSupport
import Tunnels

extension PluginCall {
    /// GC: everything of this network that belongs to no valid attachment goes. Specification 1.1.0, "GC".
    ///
    /// Without a list nothing is known about who is valid: only what is dead by itself (its namespace is gone,
    /// or it was left half-made) goes. cnitool, which sends none, sends a DEL for each of its own before.
    func collectGarbage() throws(PluginError) {
        let configuration = try TeardownConfiguration(input)
        try requireVerb(in: try configuration.version())
        guard let network = configuration.name else {
            throw PluginError(.invalidConfiguration, "GC needs the network's \"name\"")
        }
        for line in configuration.notices { log(line) }
        var errors: [PluginError] = []
        do {
            errors = try collect(network, configuration)
        } catch {
            errors = [PluginError(error)]
        }
        if let type = configuration.ipamType {
            errors += failures { () throws(PluginError) in
                try delegate(type, configuration.document).run(.garbageCollect)
            }
        }
        if let error = PluginError.first(of: errors) { throw error }
    }

    private func collect(_ network: String, _ configuration: TeardownConfiguration) throws(TunnelError) -> [PluginError]
    {
        let service = tunnels(configuration.stateDirectory)
        var reports: [TeardownReport] = []
        if let valid = configuration.validAttachments {
            reports.append(try service.collect(runtime: Self.runtime, network: network, keep: valid))
        } else {
            log("no list of valid attachments: only tunnels whose namespace is gone are collected")
            for summary in try service.list() where isDead(summary, of: network) {
                reports.append(try service.detach(summary.id))
            }
        }
        let removed = reports.flatMap { $0.removed }
        if !removed.isEmpty { log("collected \(removed.map { $0.text }.joined(separator: ", "))") }
        return reports.flatMap { $0.errors }.map { PluginError($0) }
    }

    private func isDead(_ summary: TunnelSummary, of network: String) -> Bool {
        guard let owner = summary.owner, owner.runtime == Self.runtime, owner.network == network else { return false }
        return summary.phase == .orphaned
    }
}
