import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Netlink
import WireGuardConfig
import WireGuardCrypto

// The order matters: what can be refused without a trace is decided first (the target, one file's configuration, its
// names, endpoints, MTU); then the id is taken; then the journal says what will be made before it is made. Whatever
// fails after that runs the journal backwards. With our engine the device begins to move as soon as that is written,
// and the key is taken while it moves (`EngineBackend`): a key that is in use is then refused with a device to
// remove, which is slower than it could be, and every attach that succeeds is faster.

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
        var journal = JournalWriter.beginning(Journal(id: id, bootID: birthplace.bootID), path: state.journal(of: id))
        let keys = interfaceKeys(birthplace)
        var leased: TunnelPlan?
        let target: TargetNetwork
        if let existing {
            target = existing
        } else if case .name(let name) = request.target {
            // Not made for a key that is in use.
            leased = try lease(ready, for: id, request, birthplace, keys, &journal)
            target = try createNamespace(name, &journal)
        } else {
            throw TunnelError(.target, "\(request.target) does not exist")
        }

        var tunnel = try makeDevice(id, request, target, birthplace, choice.kind, program, &journal) {
            journal throws(TunnelError) in
            if let leased { return leased }
            return try lease(ready, for: id, request, birthplace, keys, &journal)
        }
        let namespace = target.namespace.descriptor.rawValue
        let interface = request.interface.text
        try Interruption.checkpoint()
        if request.runHooks { try tunnel.plan.hooks.run(.preUp, interface: interface, inside: namespace) }
        tunnel.plan.warnings += try target.configure(tunnel.made.link, tunnel.plan)
        try tunnel.made.waitUntilReady()
        try applyDNS(&tunnel.plan, request, target.reference, &journal)
        if request.runHooks { try tunnel.plan.hooks.run(.postUp, interface: interface, inside: namespace) }

        var report = AttachReport(id, request, tunnel.plan, choice, namespacePath: target.reference.path)
        report.engine = tunnel.record.engineProcess
        report.uapiSocketPath = tunnel.record.uapiSocketPath
        if let seconds = request.waitSeconds {
            report.handshakeSeconds = try waitForHandshake(
                of: tunnel.record, tunnel.plan, inside: target, seconds: seconds)
        }
        try Interruption.checkpoint()
        try journal.enter(.attached)
        return report
    }

    /// Takes the key that the tunnel is to have, and with it the plan: the one that is ready, or the pool's.
    private func lease(
        _ ready: TunnelPlan?, for id: TunnelID, _ request: AttachRequest, _ birthplace: Birthplace,
        _ keys: [PublicKey: String], _ journal: inout JournalWriter
    ) throws(TunnelError) -> TunnelPlan {
        guard let ready else { return try leaseFromPool(for: id, request, birthplace, interfaceKeys: keys, &journal) }
        try lease(
            ready.publicKey, for: id, configurationPath: ready.configurationPath, interfaceKeys: keys, &journal)
        return ready
    }

    /// Device, plan and record. What the plan needs is decided while the device moves, where it moves.
    private func makeDevice(
        _ id: TunnelID, _ request: AttachRequest, _ target: TargetNetwork, _ birthplace: Birthplace,
        _ kind: BackendKind, _ program: String, _ journal: inout JournalWriter,
        planning: (inout JournalWriter) throws(TunnelError) -> TunnelPlan
    ) throws(TunnelError) -> MadeTunnel {
        let loopbackUndo = try target.loopbackUndo()
        var decided: (plan: TunnelPlan, record: TunnelRecord)?
        func decide(_ journal: inout JournalWriter) throws(TunnelError) -> TunnelPlan {
            let plan = try planning(&journal)
            let record = TunnelRecord(id, request, plan, kind, target.reference, birthplace)
            // GC finds a half-made tunnel of its network by it.
            try StateFile.write(record, to: state.record(of: id))
            decided = (plan, record)
            return plan
        }
        func complete() throws(TunnelError) {
            guard var (plan, record) = decided else { return }
            if let addresses = try request.addressSource?.addresses() {
                try Planner.complete(&plan, with: addresses)
                record.assign(addresses, plan)
            }
            try StateFile.write(record, to: state.record(of: id))
            decided = (plan, record)
        }
        let made: MadeDevice
        switch kind {
        case .kernel:
            try request.addressSource?.begin()
            let plan = try decide(&journal)
            made = try KernelBackend.make(plan, in: target, birthplace: birthplace.netlink, &journal)
            if let loopbackUndo { try journal.willDo(loopbackUndo) }
            try complete()
        case .userspace:
            var backend = EngineBackend(id: id, state: state, program: program)
            backend.ownControlGroup = request.ownControlGroup
            made = try backend.make(
                request.interface, in: target, birthplace: birthplace.netlink, &journal, alsoAnnounced: loopbackUndo,
                deciding: { (journal, configure) throws(TunnelError) in
                    try request.addressSource?.begin()
                    try configure(decide(&journal).device)
                },
                meanwhile: { engine throws(TunnelError) in
                    if let placement = engine.placement {
                        trace("engine \(placement)")
                        // Whoever wonders later why a tunnel went with its runtime has only the log.
                        if let owner = request.owner { note("engine \(placement)", tunnel: id, owner: owner) }
                    }
                    decided?.record.follow(engine)
                    try complete()
                })
        }
        guard let decided else { preconditionFailure("a device without a plan") }
        return MadeTunnel(made: made, plan: decided.plan, record: decided.record)
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

/// A device with what was decided about it, before it is configured.
private struct MadeTunnel: ~Copyable {
    let made: MadeDevice
    var plan: TunnelPlan
    let record: TunnelRecord
}

/// The namespace that the caller is in: where UDP sockets are born, names are resolved and marks count.
struct Birthplace {
    let netlink: RouteNetlink
    let reference: NamespaceReference
    let bootID: String

    init() throws(TunnelError) {
        do {
            netlink = try RouteNetlink()
            reference = NamespaceReference(try NetworkNamespace.own())
            bootID = try ProcessIdentity.currentBootID()
        } catch {
            throw TunnelError(.system, "looking at the network namespace here: \(error)")
        }
    }
}
