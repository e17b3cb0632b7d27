import CLinux
import Confinement
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto

// Theory of operation.
//
// `run` has four kinds of processes: `swg-ns` itself, which supervises; the undertaker, which cleans up should
// `swg-ns` be killed; the engine; and the child that becomes the command (`CommandChild`). What is decided
// without a trace comes first, then the id, the key's lease and the journal, then the child makes the network
// while the engine starts. When the command ends, strays are killed and the journal is run backwards.
//
// The engine ends by itself when the pipe of life closes, so a SIGKILL of `swg-ns` takes engine, device and
// socket away at once, the kernel kills the command, and the undertaker removes the files.

extension TunnelKeeper {
    /// Runs one command behind a tunnel of its own.
    ///
    /// Called on the main thread of a process without other threads.
    /// - Returns: the exit status for `swg-ns`: the command's own, 128 and the signal that killed it, 126 when
    ///   it cannot be executed, 127 when it is not there.
    /// - Throws: what kept the command from starting (125).
    public func run(_ request: RunRequest) throws(TunnelError) -> Int32 {
        guard !request.command.isEmpty else {
            throw TunnelError(.usage, "no command is given", cure: "swg-ns run CONFIG -- COMMAND")
        }
        try InheritedDescriptors.fillGaps()
        try InheritedDescriptors.check(commandNamespaceCookie: nil)
        let user = try InvokingUser.find(asked: request.user)
        let mask = CommandSupervisor.blockSignals()
        // This process reads keys, and a command of the same user shall not read them from it.
        try? PrivilegeStages.denyInspection()
        let undertaker = request.dryRun ? nil : try Undertaker.start(self)
        do throws(TunnelError) {
            let session = try RunSession(self, request, user, mask)
            let ending = try session.run(undertaker)
            undertaker?.dismiss()
            return ending.exitStatus()
        } catch {
            undertaker?.dismiss()
            throw error
        }
    }
}

/// One `run` from its configuration to the end of its command.
private final class RunSession {
    private let keeper: TunnelKeeper
    private let request: RunRequest
    private let user: InvokingUser
    private let signalMask: sigset_t
    private let birthplace: Birthplace
    private let plan: TunnelPlan
    private let backend: BackendKind
    private let program: String
    private let isRootless = geteuid() != 0
    private var status: StatusLine

    init(
        _ keeper: TunnelKeeper, _ request: RunRequest, _ user: InvokingUser, _ mask: sigset_t
    ) throws(TunnelError) {
        self.keeper = keeper
        self.request = request
        self.user = user
        signalMask = mask
        status = StatusLine(quiet: request.quiet)
        birthplace = try Birthplace()
        // Without root there is no right to make a kernel device whose socket is born here.
        guard !isRootless || request.engine != .kernel else {
            throw TunnelError(
                .privileges, "the kernel's WireGuard cannot be used without root",
                cure: "use sudo, or --engine userspace")
        }
        let choice = isRootless ? (.userspace, nil) : Backend.choose(request.engine)
        backend = choice.kind
        program = backend == .userspace ? try EngineLocator.find(mayUseEnvironment: keeper.mayUseEnvironment) : ""
        plan = try keeper.plan(request.configuration, request.asAttachment, birthplace)
    }

    func run(_ undertaker: borrowing Undertaker?) throws(TunnelError) -> ChildProcess.Ending {
        tell(plan.warnings.map { "warning: \($0)" } + plan.notices)
        for mount in NetworkMounts.ofThisProcess() {
            tell([
                "warning: files below \(printable(mount.path)) (\(mount.type)) come over the host's network, not through the tunnel"
            ])
        }
        if request.dryRun {
            tell([
                "would run \(printable(request.command[0])) behind \(plan.interface), \(plan.addresses.map(\.description).joined(separator: ", "))"
            ])
            return .exited(0)
        }
        let reservation = try keeper.reserve(request.asAttachment)
        undertaker?.watch(over: reservation.id)
        do throws(TunnelError) {
            let ending = try carryOut(reservation.id)
            cleanUp(reservation)
            return ending
        } catch {
            var failure = error
            failure.undoErrors += keeper.takeDown(reservation.id, holding: reservation.lock).map(\.description)
            throw failure
        }
    }

    private func cleanUp(_ reservation: borrowing Reservation) {
        for error in keeper.takeDown(reservation.id, holding: reservation.lock) {
            tell(["while cleaning up: \(error)"])
        }
    }

    /// From the journal's first line to the command's end.
    private func carryOut(_ id: TunnelID) throws(TunnelError) -> ChildProcess.Ending {
        var journal = try JournalWriter(Journal(id: id, bootID: birthplace.bootID), path: keeper.state.journal(of: id))
        try keeper.lease(
            plan.publicKey, for: id, configurationPath: plan.configurationPath,
            interfaceKeys: keeper.interfaceKeys(birthplace), &journal)
        let terminal = TerminalOwner()
        var child = try CommandProcess.fork(setup())
        var target: NetworkNamespace?
        do throws(TunnelError) {
            let made = try makeTunnel(id, &child, &target, &journal)
            try waitForHandshake(made, &child)
            try journal.enter(.attached)
            status.clear()
            let ending = try child.startAndWait()
            if let namespace = target.take() { Strays.kill(in: namespace) }
            terminal?.restore()
            return ending
        } catch {
            status.clear()
            child.abandon()
            if let namespace = target.take() { Strays.kill(in: namespace) }
            terminal?.restore()
            throw error
        }
    }

    private func setup() throws(TunnelError) -> CommandSetup {
        try CommandSetup(
            place: .new(plan, rootless: isRootless, makesDevice: backend == .userspace), command: request.command,
            user: user, resolver: ResolverFiles(servers: plan.dnsServers, searchDomains: plan.searchDomains),
            secretFiles: plan.secretPaths + (plan.configurationPath.map { [$0] } ?? []),
            stateDirectory: keeper.stateDirectory, strict: request.strict, signalMask: signalMask)
    }

    /// The device, with the engine beside it; returns when the child is ready to start the command.
    private func makeTunnel(
        _ id: TunnelID, _ child: inout CommandProcess, _ target: inout NetworkNamespace?, _ journal: inout JournalWriter
    ) throws(TunnelError) -> RunningTunnel {
        let namespace = try child.receiveNamespace()
        let identity = try? ProcessIdentity.of(child.process)
        let reference = NamespaceReference(namespace, process: identity)
        var record = TunnelRecord(id, request.asAttachment, plan, backend, reference, birthplace)
        record.target = "run \(printable(request.command[0]))"
        let running: RunningTunnel
        do throws(SystemError) {
            target = try namespace.duplicate()
        } catch {
            throw TunnelError(error, doing: "holding the command's network namespace")
        }
        switch backend {
        case .kernel:
            let inside = try TargetNetwork(namespace, reference)
            _ = try KernelBackend.make(plan, in: inside, birthplace: birthplace.netlink, &journal)
            try child.tell(.device)
            running = RunningTunnel(device: try keeper.liveDevice(record, inside: inside), engine: nil)
        case .userspace:
            let engine = try RunEngine.start(
                id: id, program: program, plan: plan, state: keeper.state, tun: try child.receiveDevice(), &journal)
            record.engine = engine.identity.map(RecordedProcess.init)
            record.enginePath = program
            record.uapiSocketPath = engine.socketPath
            running = RunningTunnel(device: .engine(UAPIClient(path: engine.socketPath)), engine: engine)
        }
        try child.waitUntilReady()
        try running.engine?.waitUntilReady()
        tell(child.warnings.map { "warning: \($0)" })
        try StateFile.write(record, to: keeper.state.record(of: id))
        return running
    }

    private func waitForHandshake(
        _ tunnel: RunningTunnel, _ child: inout CommandProcess
    ) throws(TunnelError) {
        guard let seconds = request.waitSeconds else { return }
        guard let handshake = CommandHandshake(plan.device, tunnel.device, seconds: seconds) else {
            tell(["no peer has an Endpoint: starting without a handshake, the other side has to begin"])
            return
        }
        try handshake.begin()
        let start = BootTime.now
        var probe: EndpointProbe?
        while try !handshake.isDone() {
            let elapsed = Double(BootTime.now.since(start)) / 1e9
            if elapsed >= seconds { throw handshake.diagnosis(probe, engineLog: tunnel.engine?.log() ?? "") }
            if probe == nil, elapsed >= max(0.5, seconds - EndpointProbe.leadSeconds) {
                probe = EndpointProbe(handshake.endpoint)
            }
            if elapsed >= 0.5 {
                status.show("swg-ns: waiting for a handshake with \(handshake.endpoint) … \(Int(elapsed)) s")
            }
            try child.pause(milliseconds: CommandHandshake.intervalMilliseconds)
        }
    }

    private func tell(_ lines: [String]) {
        guard !request.quiet else { return }
        for line in lines { Notice.write(line) }
    }
}

/// What the wait for the handshake needs of a tunnel.
private struct RunningTunnel {
    let device: LiveDevice
    let engine: RunEngine?
}

extension RunRequest {
    /// The part that `attach` knows as well.
    var asAttachment: AttachRequest {
        var result = AttachRequest(configuration: configuration, target: .process(getpid()), interface: interface)
        result.id = id
        result.engine = engine
        result.mtu = mtu
        result.dns = dns
        result.table = table
        return result
    }
}
