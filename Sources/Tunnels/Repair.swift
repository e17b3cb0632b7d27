import CLinux
import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto
import WireGuardModel

// Two different repairs. A dead engine took its device along (a TUN without an owner vanishes), while the
// namespace and its processes live on, cut off: the device is made again from the configuration file. A live
// engine is replaced by the program that is installed now: its TUN is fetched out of it by descriptor, so the
// interface with its addresses and routes never goes, and its configuration comes from the engine itself.

/// What `repair` did about one tunnel.
public struct RepairReport: Sendable {
    public enum Outcome: String, Sendable {
        /// Nothing was wrong.
        case healthy
        /// The device was made again.
        case remade
        /// A live engine was replaced by the installed program.
        case replaced
        /// The namespace is gone, or the attach had died half-way: cleaned up.
        case collected
    }

    public var id: TunnelID
    public var outcome: Outcome
    public var warnings: [String] = []
}

extension TunnelKeeper {
    /// As `find`. What is not there any more may have died at the last step of its detach: empty directories go.
    public func findForRepair(_ text: String) throws(TunnelError) -> TunnelID {
        do throws(TunnelError) {
            return try find(text)
        } catch {
            if error.kind == .notFound { state.removeIfEmpty() }
            throw error
        }
    }

    /// - Parameters:
    ///   - replacingEngine: replace a live engine even if it runs the installed program.
    ///   - source: what to make a lost device from; nil is the file it was made from.
    public func repair(
        _ id: TunnelID, replacingEngine: Bool = false, from source: ConfigurationSource? = nil
    ) throws(TunnelError) -> RepairReport {
        let interruption = Interruption()
        defer { interruption.end() }
        guard let lock = try state.lock(id, wait: true) else { throw TunnelError.noTunnel(id) }
        if try isAbandoned(id) {
            let errors = takeDown(id, holding: lock)
            if let first = errors.first { throw first }
            return RepairReport(id: id, outcome: .collected)
        }
        var record = try record(id)
        let birthplace = try Birthplace()
        guard record.birthplace.inode == birthplace.reference.inode,
            record.birthplace.cookie == birthplace.reference.cookie
        else {
            throw TunnelError(
                .target, "tunnel \(id) was born in another network namespace than this one",
                cure: "run repair where attach was run")
        }
        let target = try network(of: record)
        let hasDevice = try target.has(record.interface)
        if hasDevice, record.backend == .kernel { return RepairReport(id: id, outcome: .healthy) }
        if hasDevice, let engine = record.engineProcess, engine.isAlive {
            let program = try EngineLocator.find(mayUseEnvironment: mayUseEnvironment)
            guard replacingEngine || !EngineHandover.runs(engine, program) else {
                return RepairReport(id: id, outcome: .healthy)
            }
            try replaceEngine(&record, engine, program)
            return RepairReport(id: id, outcome: .replaced)
        }
        let warnings = try remake(&record, target, birthplace, source)
        return RepairReport(id: id, outcome: .remade, warnings: warnings)
    }

    /// Removes what is left of the device and makes it again. A failure leaves the tunnel as broken as it was,
    /// with its journal: nothing of the namespace is given up.
    private func remake(
        _ record: inout TunnelRecord, _ target: TargetNetwork, _ birthplace: Birthplace, _ source: ConfigurationSource?
    ) throws(TunnelError) -> [String] {
        let id = try TunnelID(record.id)
        guard source != nil || record.configurationPath != nil else {
            throw TunnelError(
                .configurationFile,
                "tunnel \(id) was made from a pipe, and its engine, which alone had the key, has ended",
                cure: "give the configuration once more: swg-ns repair \(id) CONFIG (a path, or - for standard input)")
        }
        var plan = try plan(of: record, from: source)
        guard plan.publicKey.base64 == record.publicKey else {
            throw TunnelError(
                .configuration, "the file has another private key now than tunnel \(id)",
                cure: "detach it and attach it again")
        }
        guard var journal = try JournalWriter.open(state.journal(of: id)) else {
            throw TunnelError(.state, "tunnel \(id) has no journal", cure: "detach it and attach it again")
        }
        let runner = UndoRunner(state: state, id: record.id)
        let deviceSteps: Set<UndoStep.Action> = [.deleteLink, .endProcess, .removeSocket]
        for step in journal.journal.undo.reversed() where deviceSteps.contains(step.action) { try runner.perform(step) }
        let made: MadeDevice
        switch record.backend {
        case .kernel:
            made = try KernelBackend.make(plan, in: target, birthplace: birthplace.netlink, &journal)
        case .userspace:
            let program = try EngineLocator.find(mayUseEnvironment: mayUseEnvironment)
            var backend = EngineBackend(id: id, state: state, program: program)
            backend.ownControlGroup = true
            made = try backend.make(
                plan.interface, in: target, birthplace: birthplace.netlink, &journal,
                deciding: { (_, configure) throws(TunnelError) in try configure(plan.device) },
                meanwhile: { record.follow($0) })
        }
        plan.warnings += try target.configure(made.link, plan)
        try made.waitUntilReady()
        // The file may say something else than at the attach.
        record.follow(plan)
        try StateFile.write(record, to: state.record(of: id))
        return plan.warnings
    }

    private func replaceEngine(
        _ record: inout TunnelRecord, _ engine: ProcessIdentity, _ program: String
    ) throws(TunnelError) {
        let id = try TunnelID(record.id)
        let device = try UAPIClient(path: record.uapiSocketPath ?? "").status().configuration
        let log = try EngineLog.open(state: state, id: id)
        // Asked before the old engine is given up, which is good as long as the new one is not proven to run.
        guard let version = EngineLocator.askVersion(program) else {
            throw TunnelError(
                .engine, "the installed engine \(program) does not run: no answer to --version",
                cure: "install it again; tunnel \(id) keeps the engine it has")
        }
        let unit = EnginePlacement.callersUnit(of: engine.pid)
        do throws(SystemError) {
            let tun = try EngineHandover.takeTun(of: engine)
            let configuration = try EngineConfiguration.memoryFile(device)
            // From here on the device lives by our descriptor alone; the old engine must have let go of its UDP
            // port before the new one binds it.
            try EngineTermination.end(engine)
            record.engine = RecordedProcess(
                try start(program, id, tun, configuration, log, record.uapiSocketPath ?? "", unit).get())
        } catch {
            throw TunnelError(
                error, doing: "replacing the engine of tunnel \(id)", kind: .engine, cure: "swg-ns repair \(id)")
        }
        record.enginePath = program
        record.engineVersion = version
        try StateFile.write(record, to: state.record(of: id))
    }

    private func start(
        _ program: String, _ id: TunnelID, _ tun: borrowing FileDescriptor, _ configuration: borrowing FileDescriptor,
        _ log: borrowing FileDescriptor, _ socketPath: String, _ unit: String?
    ) -> Result<ProcessIdentity, SystemError> {
        do {
            let listener = try UAPISocket.listen(at: socketPath)
            let identityFile = try FileDescriptor.open(
                state.engineIdentity(of: id), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
            let started = try EngineStart(
                program: program, id: id, tun: tun.rawValue, uapi: listener.rawValue,
                configuration: configuration.rawValue, stateDirectory: state.path, identityFile: identityFile.rawValue,
                standardError: log.rawValue
            ).start()
            if unit.map({ EnginePlacement.join(started.child.pid, group: $0) }) != true {
                _ = EnginePlacement.place(process: started.child.pid, name: id.text)
            }
            try started.waitUntilReady(milliseconds: 10_000)
            return .success(try ProcessIdentity.of(started.child.pid))
        } catch let error as SystemError {
            return .failure(error)
        } catch {
            return .failure(SystemError(call: "start", object: program, errno: Errno(EIO), detail: "\(error)"))
        }
    }
}
