import Glibc
import IPAddressing
import LinuxSystem
import WireGuardConfig
import WireGuardCrypto

extension TunnelKeeper {
    /// The pool's files in the order in which they are to be used: least recently released first, never used
    /// before all, equal ones by name.
    private func poolCandidates(
        _ directory: String, _ options: PlanOptions
    ) throws(TunnelError) -> (usable: [LoadedConfiguration], unusable: [String]) {
        let names: [String]
        do throws(SystemError) {
            names = try File.list(directory).filter { $0.hasSuffix(".conf") && !$0.hasPrefix(".") }
        } catch {
            throw TunnelError(error, doing: "reading the pool", kind: .configurationFile)
        }
        var usable: [(loaded: LoadedConfiguration, releasedAt: Int64)] = []
        var unusable: [String] = []
        let book = LeaseBook(state: state)
        for name in names {
            do throws(TunnelError) {
                let loaded = try ConfigurationLoader.load(.file("\(directory)/\(name)"), options)
                if let missing = options.requiredAddresses.first(where: { wanted in
                    !loaded.configuration.addresses.contains { $0.address == wanted }
                }) {
                    unusable.append("\(name): no Address= \(missing)")
                    continue
                }
                usable.append((loaded, try book.releasedAt(loaded.privateKey.publicKey) ?? .min))
            } catch {
                unusable.append("\(name): \(error)")
            }
        }
        // `names` is sorted, and the sort is stable.
        return (usable.sorted { $0.releasedAt < $1.releasedAt }.map(\.loaded), unusable)
    }

    /// Takes the first configuration of the pool that is free, and plans with it.
    func leaseFromPool(
        for id: TunnelID, _ request: AttachRequest, _ birthplace: Birthplace, _ journal: inout JournalWriter
    ) throws(TunnelError) -> TunnelPlan {
        guard case .pool(let directory) = request.configuration else {
            throw TunnelError(.usage, "the configuration is no pool")
        }
        let candidates = try poolCandidates(directory, request.planOptions)
        var foreign: [String] = []
        for loaded in candidates.usable {
            let key = loaded.privateKey.publicKey
            guard try tryLease(key, for: id, loaded.path, remember: true, &journal) == nil else { continue }
            if let holder = foreignHolder(of: key, birthplace) {
                try giveBack(key, of: id, &journal)
                foreign.append(holder)
                continue
            }
            var plan = try Planner.plan(loaded, request.planOptions, birthplace: birthplace.netlink)
            plan.pool = directory
            return plan
        }
        throw exhausted(directory, candidates, foreign)
    }

    /// As `leaseFromPool` without taking anything: for a dry run.
    func firstFree(of directory: String, _ options: PlanOptions) throws(TunnelError) -> LoadedConfiguration {
        let candidates = try poolCandidates(directory, options)
        for loaded in candidates.usable
        where try LeaseBook(state: state).holder(of: loaded.privateKey.publicKey) == nil { return loaded }
        throw exhausted(directory, candidates)
    }

    private func exhausted(
        _ directory: String, _ candidates: (usable: [LoadedConfiguration], unusable: [String]), _ foreign: [String] = []
    ) -> TunnelError {
        let unusable = candidates.unusable.isEmpty ? "" : "; unusable: \(candidates.unusable.joined(separator: "; "))"
        if candidates.usable.isEmpty {
            return TunnelError(
                .configuration, "the pool \(directory) has no usable configuration\(unusable)",
                cure: "put wg-quick files named *.conf there")
        }
        let book = LeaseBook(state: state)
        let holders =
            candidates.usable.prefix(5).compactMap { loaded -> String? in
                guard let holder = try? book.holder(of: loaded.privateKey.publicKey) else { return nil }
                return describe(holder)
            } + foreign
        return TunnelError(
            .poolExhausted,
            "all \(candidates.usable.count) configurations of the pool \(directory) are in use (\(holders.joined(separator: ", ")))\(unusable)",
            cure: "add another file there; no restart is needed")
    }

    /// How a pool stands, for CNI STATUS.
    public func poolStatus(directory: String) throws(TunnelError) -> PoolStatus {
        let name = try InterfaceName("eth0")
        let candidates = try poolCandidates(
            directory, PlanOptions(interface: name, refuseWritableFiles: true, isForPlugin: true))
        var free = 0
        for loaded in candidates.usable
        where try LeaseBook(state: state).holder(of: loaded.privateKey.publicKey) == nil { free += 1 }
        return PoolStatus(total: candidates.usable.count, free: free, unusable: candidates.unusable)
    }
}
