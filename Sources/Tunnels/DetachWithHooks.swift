import CLinux
import Glibc
import LinuxSystem
import Namespaces
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel

extension TunnelKeeper {
    /// As `detach`, with what only the command line does: SaveConfig before, and the hooks of a tunnel that was
    /// attached with them. A failure of either is in the report and does not stop the rest.
    public func detachWithHooks(_ id: TunnelID) throws(TunnelError) -> TeardownReport {
        guard let record = try? record(id), record.owner == nil, phase(of: id, record) == .attached else {
            return try detach(id)
        }
        var errors: [TunnelError] = []
        func attempt(_ body: () throws(TunnelError) -> Void) {
            do throws(TunnelError) {
                try body()
            } catch {
                errors.append(error)
            }
        }
        if record.savesConfiguration { attempt { () throws(TunnelError) in try saveConfiguration(of: record) } }
        var hooks = Hooks()
        if record.runHooks, let path = record.configurationPath {
            attempt { () throws(TunnelError) in
                let options = PlanOptions(interface: try InterfaceName(record.interface))
                hooks = try ConfigurationLoader.load(.file(path), options).configuration.hooks
            }
        }
        // Held only while hooks have to run in it: PostDown comes when a namespace of ours has lost its name.
        let target = hooks.isEmpty ? nil : try? network(of: record)
        if let number = target?.namespace.descriptor.rawValue {
            attempt { () throws(TunnelError) in try hooks.run(.preDown, interface: record.interface, inside: number) }
        }
        var report = try detach(id)
        if let number = target?.namespace.descriptor.rawValue {
            attempt { () throws(TunnelError) in try hooks.run(.postDown, interface: record.interface, inside: number) }
        }
        report.errors = errors + report.errors
        return report
    }

    /// `SaveConfig = true`: the live state into the file, by rename. Keys that the file keeps elsewhere stay there.
    func saveConfiguration(of record: TunnelRecord) throws(TunnelError) {
        guard let path = record.configurationPath else { return }
        let live = try status(of: record).configuration
        let file = try KeyFile.read(path, PlanOptions(interface: try InterfaceName(record.interface)))
        let configuration: TunnelConfiguration
        do throws(ConfigurationErrors) {
            configuration = try TunnelConfiguration.parse(file.bytes, file: path).configuration
        } catch {
            throw TunnelError(.configuration, "SaveConfig: \(error)")
        }
        do throws(SystemError) {
            try SecretFile.replace(path, with: configuration.saving(live).text(), mode: file.mode & 0o700)
        } catch {
            throw TunnelError(error, doing: "SaveConfig: writing \(path)", kind: .configurationFile)
        }
    }
}

/// Files with keys in them, written without a copy outside locked memory.
enum SecretFile {
    /// By rename, as `File.replace`.
    static func replace(_ path: String, with text: borrowing SecretText, mode: mode_t) throws(SystemError) {
        let temporary = "\(path).\(getpid()).tmp"
        do throws(SystemError) {
            let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
            try text.withBytes { (bytes) throws(SystemError) in try file.writeAll(bytes, object: temporary) }
            try systemCall("fsync", temporary) { fsync(file.rawValue) }
            try systemCall("rename", path) { rename(temporary, path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }
}
