import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Netlink
import WireGuardConfig
import WireGuardCrypto

// The order matters, and is DESIGN's: everything that can be refused without a trace is decided first
// (configuration, target, names, endpoints, MTU); then the id and the key are taken; then the journal says what
// will be made before it is made. Whatever fails after that runs the journal backwards.

extension TunnelKeeper {
    /// Gives a live namespace the tunnel. On any failure everything is undone before this throws; the error's
    /// `undoErrors` say what could not be.
    public func attach(_ request: AttachRequest) throws(TunnelError) -> AttachReport {
        let interruption = Interruption()
        defer { interruption.end() }
        let birthplace = try Birthplace()
        let target = try resolve(request.target, mayBeAbsent: request.createNamespace)
        if target == nil { try checkCreation(request) }
        try target?.verifyIsEmpty(for: request.interface, sole: request.soleInterface)
        let choice = Backend.choose(request.engine)
        let program = choice.kind == .userspace ? try EngineLocator.find(mayUseEnvironment: mayUseEnvironment) : ""

        var plan: TunnelPlan?
        if !request.configuration.isPool || request.dryRun {
            plan = try self.plan(request.configuration, request, birthplace)
        }
        if request.dryRun, let plan {
            let id = try chooseID(request)
            return AttachReport(id, request, plan, choice, namespacePath: target?.reference.path)
        }

        let reservation = try reserve(request)
        let id = reservation.id
        trace("tunnel \(id): \(choice.kind == .kernel ? "the kernel's driver" : program)")
        do throws(TunnelError) {
            return try make(id, request, plan, target, birthplace, choice, program)
        } catch {
            // Everything that `make` held is closed by now: the engine has no listener of ours to look alive by.
            var failure = error
            failure.undoErrors += takeDown(id, holding: reservation.lock).map(\.description)
            throw failure
        }
    }

    /// `--create` is for names only.
    private func checkCreation(_ request: AttachRequest) throws(TunnelError) {
        guard case .name = request.target else {
            throw TunnelError(
                .usage, "only a named network namespace can be created", cure: "use --netns NAME with --create")
        }
    }

    private func make(
        _ id: TunnelID, _ request: AttachRequest, _ ready: TunnelPlan?, _ existing: TargetNetwork?,
        _ birthplace: Birthplace, _ choice: (kind: BackendKind, reason: String?), _ program: String
    ) throws(TunnelError) -> AttachReport {
        var journal = try JournalWriter(Journal(id: id, bootID: birthplace.bootID), path: state.journal(of: id))
        var plan: TunnelPlan
        if let ready {
            plan = ready
            try lease(plan.publicKey, for: id, configurationPath: plan.configurationPath, birthplace, &journal)
        } else {
            plan = try leaseFromPool(for: id, request, birthplace, &journal)
        }
        let target: TargetNetwork
        if let existing {
            target = existing
        } else if case .name(let name) = request.target {
            target = try createNamespace(name, &journal)
        } else {
            throw TunnelError(.target, "\(request.target) does not exist")
        }

        var record = TunnelRecord(id, request, plan, choice.kind, target.reference, birthplace)
        // Before the device: GC finds a half-made tunnel of its network by it.
        try StateFile.write(record, to: state.record(of: id))
        let made = try makeDevice(id, request, plan, target, birthplace, choice.kind, program, &journal)
        record.engine = made.engine.map(RecordedProcess.init)
        record.enginePath = made.enginePath
        record.engineVersion = made.engineVersion
        record.uapiSocketPath = made.uapiSocketPath
        try Interruption.checkpoint()
        if let undo = try target.loopbackUndo() { try journal.willDo(undo) }
        let namespace = target.namespace.descriptor.rawValue
        if request.runHooks { try plan.hooks.run(.preUp, interface: record.interface, inside: namespace) }
        if let assign = request.assignAddresses {
            let addresses = try assign()
            try Planner.complete(&plan, with: addresses)
            record.assign(addresses, plan)
        }
        plan.warnings += try target.configure(made.link, plan)
        try made.waitUntilReady()
        try applyDNS(&plan, request, target.reference, &journal)
        if request.runHooks { try plan.hooks.run(.postUp, interface: record.interface, inside: namespace) }

        var report = AttachReport(id, request, plan, choice, namespacePath: target.reference.path)
        report.engine = made.engine
        report.uapiSocketPath = made.uapiSocketPath
        if let placement = made.placement {
            trace("engine \(placement)")
            // Whoever wonders later why a tunnel went with its runtime has only the log.
            if let owner = request.owner { note("engine \(placement)", tunnel: id, owner: owner) }
        }
        if let seconds = request.waitSeconds {
            report.handshakeSeconds = try waitForHandshake(of: record, plan, inside: target, seconds: seconds)
        }
        try Interruption.checkpoint()
        try StateFile.write(record, to: state.record(of: id))
        try journal.enter(.attached)
        return report
    }

    private func makeDevice(
        _ id: TunnelID, _ request: AttachRequest, _ plan: TunnelPlan, _ target: TargetNetwork,
        _ birthplace: Birthplace, _ kind: BackendKind, _ program: String, _ journal: inout JournalWriter
    ) throws(TunnelError) -> MadeDevice {
        switch kind {
        case .kernel:
            return try KernelBackend.make(plan, in: target, birthplace: birthplace.netlink, &journal)
        case .userspace:
            let log = try EngineLog.open(state: state, id: id)
            var backend = EngineBackend(id: id, state: state, program: program)
            backend.ownControlGroup = request.ownControlGroup
            backend.standardError = log.rawValue
            return try backend.make(plan, in: target, birthplace: birthplace.netlink, &journal)
        }
    }

    /// `DNS=`: to /etc/netns for a named namespace; a runtime's container gets its own from the runtime.
    private func applyDNS(
        _ plan: inout TunnelPlan, _ request: AttachRequest, _ target: NamespaceReference, _ journal: inout JournalWriter
    ) throws(TunnelError) {
        guard request.owner == nil, !plan.dnsServers.isEmpty else { return }
        guard let name = target.name else {
            let options = plan.dnsServers.map { "--dns \($0)" }.joined(separator: " ")
            plan.notices.append(
                "DNS= is not applied to a namespace without a name: give the container's runtime \(options), "
                    + "or write its /etc/resolv.conf")
            return
        }
        let text = NetnsFiles.resolvConf(servers: plan.dnsServers, searchDomains: plan.searchDomains)
        if let warning = try NetnsFiles.write(text, forNamespace: name, &journal) { plan.warnings.append(warning) }
    }
}

/// The namespace that the caller is in: where UDP sockets are born, names are resolved and marks count.
struct Birthplace {
    let netlink: RouteNetlink
    let reference: NamespaceReference
    let bootID: String

    init() throws(TunnelError) {
        do {
            netlink = try RouteNetlink()
            reference = NamespaceReference(try NetworkNamespace.own(), path: nil)
            bootID = try ProcessIdentity.currentBootID()
        } catch {
            throw TunnelError(.system, "looking at the network namespace here: \(error)")
        }
    }
}
