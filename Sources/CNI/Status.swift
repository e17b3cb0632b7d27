import LinuxSystem
import PluginSupport
import Tunnels

extension PluginCall {
    /// STATUS: whether ADD could work now, else code 50 and what is missing: TUN and driver, the engine, a free
    /// configuration, the delegate.
    func status() throws(PluginError) {
        let configuration = try NetworkConfiguration(input)
        try requireVerb(in: configuration.version)
        let service = tunnels(configuration.stateDirectory)
        var missing = service.readiness(configuration.engine).map(\.description)
        do {
            switch configuration.source {
            case .file(let path): missing += try missingFile(path)
            case .pool(let directory):
                missing += try missingPool(service.poolStatus(directory: directory), directory, configuration)
            }
        } catch {
            missing.append(error.description)
        }
        let own = missing.first.map {
            PluginError(.notAvailable, $0, details: missing.dropFirst().joined(separator: "\n"))
        }
        let delegates = failures { () throws(PluginError) in
            if let type = configuration.ipamType { try delegate(type, configuration.document).run(.status) }
        }
        if let error = PluginError.first(of: [own].compactMap { $0 } + delegates) { throw error }
    }

    private func missingFile(_ path: String) throws(TunnelError) -> [String] {
        canRead(path) ? [] : ["config: \(printable(path)) cannot be read"]
    }

    private func missingPool(
        _ pool: PoolStatus, _ directory: String, _ configuration: NetworkConfiguration
    ) throws(TunnelError) -> [String] {
        for line in pool.unusable { log("configDir: \(line)") }
        if pool.total == 0 { return ["configDir: \(printable(directory)) holds no usable *.conf"] }
        if pool.free == 0, !configuration.exhaustedIsReady {
            return ["configDir: all \(pool.total) configurations of \(printable(directory)) are in use"]
        }
        return []
    }
}
