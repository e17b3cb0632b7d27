import Glibc
import LinuxSystem
import Namespaces

/// A container's interface, as CNI GC lists the valid ones.
public struct Attachment: Hashable, Sendable {
    public let containerID: String
    public let interface: String

    public init(containerID: String, interface: String) {
        self.containerID = containerID
        self.interface = interface
    }
}

extension TunnelKeeper {
    /// Cleans up what nobody will come back for: attaches that died half-way, tunnels whose namespace is gone,
    /// what an earlier boot left. Live tunnels, also those with a dead engine, are left alone, and so is
    /// whatever another process is working on.
    public func collectGarbage() throws(TunnelError) -> TeardownReport {
        var report = TeardownReport()
        for id in try state.ids() { collectIfAbandoned(id, &report) }
        do throws(TunnelError) {
            try LeaseBook(state: state).sweep()
        } catch {
            report.errors.append(error)
        }
        state.removeIfEmpty()
        return report
    }

    /// CNI GC: everything of this network that is not in `keep`, and what is abandoned of it anyway. Carries on
    /// after errors.
    public func collect(
        runtime: String, network: String, keep: Set<Attachment>
    ) throws(TunnelError) -> TeardownReport {
        var report = TeardownReport()
        for id in try state.ids() {
            let record: TunnelRecord?
            do throws(TunnelError) {
                record = try StateFile.read(TunnelRecord.self, from: state.record(of: id))
            } catch {
                report.errors.append(error)
                continue
            }
            guard let record else {
                // Its attach died before it could say whose it is.
                collectIfAbandoned(id, &report)
                continue
            }
            guard let owner = record.owner, owner.runtime == runtime, owner.network == network else { continue }
            if keep.contains(Attachment(containerID: owner.containerID, interface: owner.interface)) {
                collectIfAbandoned(id, &report)
                continue
            }
            do throws(TunnelError) {
                let one = try detach(id)
                report.removed += one.removed
                report.errors += one.errors
            } catch {
                report.errors.append(error)
            }
        }
        return report
    }

    /// Takes `id` down if nobody works on it and nobody can come back for it.
    func collectIfAbandoned(_ id: TunnelID, _ report: inout TeardownReport) {
        do throws(TunnelError) {
            guard let lock = try tryLock(id) else { return }
            guard try isAbandoned(id) else { return }
            let errors = takeDown(id, holding: lock)
            report.errors += errors
            if errors.isEmpty { report.removed.append(id) }
        } catch {
            report.errors.append(error)
        }
    }

    /// Nil when somebody works on it, or it is gone.
    func tryLock(_ id: TunnelID) throws(TunnelError) -> FileLock? {
        do throws(TunnelError) {
            return try state.lock(id, wait: false)
        } catch {
            if error.kind == .busy { return nil }
            throw error
        }
    }

    /// The caller holds the lock, so a journal that says "attaching" is of somebody who died.
    ///
    /// - Throws: when it cannot be known. A live tunnel must not be taken for a dead one for want of a descriptor.
    func isAbandoned(_ id: TunnelID) throws(TunnelError) -> Bool {
        guard let journal = try StateFile.read(Journal.self, from: state.journal(of: id)), journal.phase == .attached
        else { return true }
        guard try journal.isOfThisBoot() else { return true }
        guard let record = try StateFile.read(TunnelRecord.self, from: state.record(of: id)) else { return true }
        return try record.namespace.open() == nil
    }
}
