import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import WireGuardConfig
import WireGuardCrypto

/// A file of a pool, and what is known of its key without running a command.
private struct PoolFile {
    var configuration: UnfinishedConfiguration
    /// Nanoseconds since 1970; never used comes first.
    var releasedAt = Int64.min
    /// The live tunnel that had a key from this file last, where the key itself is not known.
    var lastHolder: TunnelID?

    var path: String { configuration.path ?? configuration.label }
    var name: Substring { path.split(separator: "/").last ?? "" }
}

/// The files of a pool in the order in which they are to be used.
private struct PoolFiles {
    var usable: [PoolFile] = []
    var unusable: [String] = []
}

extension TunnelKeeper {
    /// Least recently released first, never used before all, equal ones by name; and last those whose key is a
    /// command's secret and was in use when that was asked last: it may be another by now.
    private func poolFiles(_ directory: String, _ options: PlanOptions) throws(TunnelError) -> PoolFiles {
        let names: [String]
        do throws(SystemError) {
            if options.refuseWritableFiles {
                var status = stat()
                try systemCall("stat", directory) { stat(directory, &status) }
                if let trouble = KeyFile.writableByOthers(status, directory) { throw trouble }
            }
            names = try File.list(directory).filter { $0.hasSuffix(".conf") && !$0.hasPrefix(".") }
        } catch {
            throw TunnelError(error, doing: "reading the pool", kind: .configurationFile)
        }
        var files = PoolFiles()
        let book = LeaseBook(state: state)
        var leases: [String: LeaseBook.Trace]?
        for name in names {
            do throws(TunnelError) {
                var file = PoolFile(
                    configuration: try ConfigurationLoader.read(.file("\(directory)/\(name)"), options))
                if file.configuration.commands.isEmpty { _ = try file.configuration.finish() }
                let addresses = file.configuration.configuration.addresses
                if let missing = options.requiredAddresses.first(where: { wanted in
                    !addresses.contains { $0.address == wanted }
                }) {
                    files.unusable.append("\(name): no Address= \(missing)")
                    continue
                }
                if let key = file.configuration.publicKey {
                    file.releasedAt = try book.releasedAt(key) ?? .min
                } else {
                    let known = leases ?? book.tracesByPath()
                    leases = known
                    file.releasedAt = known[file.path]?.releasedAt ?? .min
                    file.lastHolder = known[file.path]?.holder
                }
                files.usable.append(file)
            } catch {
                files.unusable.append("\(name): \(error)")
            }
        }
        // `names` is sorted, and the sort is stable.
        files.usable.sort {
            ($0.lastHolder == nil ? 0 : 1, $0.releasedAt) < ($1.lastHolder == nil ? 0 : 1, $1.releasedAt)
        }
        return files
    }

    /// Takes the first configuration of the pool that is free, and plans with it.
    func leaseFromPool(
        for id: TunnelID, _ request: AttachRequest, _ birthplace: Birthplace, interfaceKeys: [PublicKey: String],
        _ journal: inout JournalWriter
    ) throws(TunnelError) -> TunnelPlan {
        guard case .pool(let directory) = request.configuration else {
            throw TunnelError(.usage, "the configuration is no pool")
        }
        var files = try poolFiles(directory, request.planOptions)
        let foreign = engineKeys(and: interfaceKeys)
        var holders: [String] = []
        for var file in files.usable {
            let loaded: LoadedConfiguration
            do throws(TunnelError) {
                loaded = try file.configuration.finish()
            } catch {
                files.unusable.append("\(file.name): \(error)")
                files.usable.removeAll { $0.path == file.path }
                continue
            }
            let key = loaded.privateKey.publicKey
            if let holder = foreign[key] {
                holders.append(holder)
                continue
            }
            if let holder = try tryLease(key, for: id, loaded.path, remember: true, &journal) {
                holders.append(describe(holder))
                continue
            }
            var plan = try Planner.plan(loaded, request.planOptions, birthplace: birthplace.netlink)
            plan.pool = directory
            return plan
        }
        throw exhausted(directory, files, holders)
    }

    /// As `leaseFromPool` without taking anything: for a dry run.
    func firstFree(
        of directory: String, _ options: PlanOptions, _ birthplace: Birthplace
    ) throws(TunnelError) -> LoadedConfiguration {
        let files = try poolFiles(directory, options)
        let foreign = foreignKeys(birthplace)
        var holders: [String] = []
        for var file in files.usable {
            let loaded = try file.configuration.finish()
            guard let holder = try holder(of: loaded.privateKey.publicKey, foreign) else { return loaded }
            holders.append(holder)
        }
        throw exhausted(directory, files, holders)
    }

    /// Who has the key, ours or not, in words.
    private func holder(of key: PublicKey, _ foreign: [PublicKey: String]) throws(TunnelError) -> String? {
        if let holder = try LeaseBook(state: state).holder(of: key) { return describe(holder) }
        return foreign[key]
    }

    private func exhausted(_ directory: String, _ files: PoolFiles, _ holders: [String]) -> TunnelError {
        let unusable = files.unusable.isEmpty ? "" : "; unusable: \(files.unusable.joined(separator: "; "))"
        if files.usable.isEmpty {
            return TunnelError(
                .configuration, "the pool \(directory) has no usable configuration\(unusable)",
                cure: "put wg-quick files named *.conf there")
        }
        let shown = holders.prefix(5).joined(separator: ", ") + (holders.count > 5 ? ", …" : "")
        return TunnelError(
            .poolExhausted,
            "all \(files.usable.count) configurations of the pool \(directory) are in use (\(shown))\(unusable)",
            cure: "add another file there; no restart is needed")
    }

    /// How a pool stands, for CNI STATUS, which runtimes ask every few seconds: no command is run for it.
    public func poolStatus(directory: String) throws(TunnelError) -> PoolStatus {
        let name = try InterfaceName("eth0")
        let files = try poolFiles(
            directory, PlanOptions(interface: name, refuseWritableFiles: true, isForPlugin: true))
        let foreign = foreignKeys(try Birthplace())
        var free = 0
        for file in files.usable {
            let isInUse =
                if let key = file.configuration.publicKey {
                    try holder(of: key, foreign) != nil
                } else {
                    file.lastHolder != nil
                }
            if !isInUse { free += 1 }
        }
        return PoolStatus(total: files.usable.count, free: free, unusable: files.unusable)
    }
}
