import Glibc
import LinuxSystem
import Namespaces

extension TunnelKeeper {
    var state: StateDirectory { StateDirectory(path: stateDirectory) }

    /// Takes a tunnel down. May be called twice, late, half-way through somebody's attach that died, and for
    /// what never was: that is success with an empty report (promise P4). The target need not exist any more.
    ///
    /// Waits while another process works on the same tunnel.
    public func detach(_ id: TunnelID) throws(TunnelError) -> TeardownReport {
        var report = TeardownReport()
        guard let lock = try state.lock(id, wait: true) else {
            // A detach that died at its last step may have left empty directories.
            state.removeIfEmpty()
            return report
        }
        report.errors = takeDown(id, holding: lock)
        if report.errors.isEmpty { report.removed.append(id) }
        return report
    }

    public func detach(owner: Owner) throws(TunnelError) -> TeardownReport { try detach(owner.tunnelID) }

    /// Undoes a tunnel whose lock the caller holds. What fails stays in the journal for the next time.
    func takeDown(_ id: TunnelID, holding lock: borrowing FileLock) -> [TunnelError] {
        do throws(TunnelError) {
            if var journal = try JournalWriter.open(state.journal(of: id)) {
                let isOfThisBoot = try journal.journal.isOfThisBoot()
                // Not essential, and impossible on a full disk: the undoing needs no phase.
                try? journal.enter(.detaching)
                let runner = UndoRunner(state: state, id: id.text)
                let errors = journal.undoAll { (step) throws(TunnelError) in
                    // Namespaces, links and processes do not survive a reboot; files may.
                    if !isOfThisBoot, step.action.needsSameBoot { return }
                    trace("undo \(step.action.rawValue)")
                    try runner.perform(step)
                }
                if !errors.isEmpty { return errors }
                EnginePlacement.remove(name: id.text)
            }
            do throws(SystemError) {
                try state.remove(id)
            } catch {
                throw StateFile.unusable(error)
            }
            return []
        } catch {
            return [error]
        }
    }
}

extension UndoStep.Action {
    /// A namespace's numbers and a process's pid mean something else after a reboot.
    var needsSameBoot: Bool {
        switch self {
        case .deleteLink, .setLinkDown, .endProcess, .deleteNamespace, .restoreSetting: true
        default: false
        }
    }
}
