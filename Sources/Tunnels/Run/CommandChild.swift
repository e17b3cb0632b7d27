import CLinux
import Confinement
import Glibc
import LinuxSystem
import Namespaces
import Netlink

// Theory of operation.
//
// `swg-ns` forks one child. While both are one program still, the child builds the place where the command
// will live, in steps that are the functions below, and at the end executes the command. The parent stays in
// the caller's namespaces: it starts the engine with the TUN that the child hands over, waits for the
// handshake, and then gives the word to start. So the engine's UDP socket is born outside, and nothing inside
// ever had a descriptor of it.
//
// Rootless, the TUN has to be made by somebody with rights in the network namespace, and must not be made in
// the namespace where it ends up (that would keep it alive for ever). Hence two: the child makes a user
// namespace and a first network namespace, opens the TUN there, makes the second one, and moves the TUN into
// it. Root does the same with the caller's namespace as the first.
//
// Under --strict a further process is forked into a new pid namespace, as a sibling: it is that namespace's
// init and the parent of the command (`CommandInit`). The child itself ends then.
//
// The parent has a single thread at the fork, so the child may run ordinary code. What can go wrong goes over
// the channel as text, and the child exits; the kernel takes down every namespace it was alone in.

enum CommandChild {
    /// Called in the forked child.
    /// - Returns: the status to exit with, unless the process has become the command.
    static func run(_ setup: CommandSetup, _ channel: borrowing CommandChannel) -> Int32 {
        do throws(CommandFailure) {
            try prepareProcess(setup, channel)
            try enterPlace(setup, channel)
            if setup.isStrict {
                try continueInNewPidNamespace(channel)
            }
            try arrangeFiles(setup)
            try say(.ready, on: channel)
            try waitForStart(channel)
            try giveUpPrivileges(setup)
            if setup.isStrict { return CommandInit.run(setup, channel) }
            return try becomeCommand(setup, channel)
        } catch {
            try? channel.send(.failed, error.description)
        }
        return RunStatus.failed
    }

    /// 1. Nothing inherited but the channel and 0 to 2; gone when `swg-ns` goes.
    private static func prepareProcess(
        _ setup: CommandSetup, _ channel: borrowing CommandChannel
    ) throws(CommandFailure) {
        var kept = [channel.descriptor]
        if case .join(let network, let user) = setup.place { kept += [network] + (user.map { [$0] } ?? []) }
        try attempt("closing inherited descriptors") { () throws(SystemError) in
            try PrivilegeStages.closeInheritedDescriptors(keeping: kept)
            try PrivilegeStages.dieWithParent(parent: setup.parent)
        }
    }

    /// 2. The namespaces, and in them the tunnel's device with its addresses and routes.
    private static func enterPlace(
        _ setup: CommandSetup, _ channel: borrowing CommandChannel
    ) throws(CommandFailure) {
        switch setup.place {
        case .join(let network, let user):
            try attempt("joining the tunnel's network namespace") { () throws(SystemError) in
                if let user { try joinNamespace(user, .user) }
                try joinNamespace(network, .network)
                try enterNewNamespaces([.mount])
            }
        case .new(let plan, let rootless, let makesDevice):
            if rootless { try enterUserNamespace(setup.user) }
            try CommandNetwork.make(plan, makesDevice: makesDevice, channel)
            allowPing(setup)
            try attempt("making a mount namespace") { () throws(SystemError) in try enterNewNamespaces([.mount]) }
        }
    }

    private static func enterUserNamespace(_ user: InvokingUser) throws(CommandFailure) {
        do throws(SystemError) {
            try enterNewNamespaces([.user])
            // A process that may not be inspected does not own its own /proc files.
            try PrivilegeStages.denyInspection(false)
            let ids = (uid: user.uid, gid: user.gid)
            try UserNamespaceMaps.map(inside: ids, outside: ids)
            try PrivilegeStages.denyInspection()
            try enterNewNamespaces([.network])
        } catch {
            throw CommandFailure(UserNamespaceTrouble(error).explanation)
        }
    }

    /// A fresh namespace allows nobody to use ICMP sockets. Not essential: only ping suffers.
    private static func allowPing(_ setup: CommandSetup) {
        let range = setup.isRootless ? "\(setup.user.gid) \(setup.user.gid)" : PingPermission.everybody
        try? File.write(range, to: PingPermission.path)
    }

    /// 3. `--strict` only. The child ends here; its sibling goes on.
    private static func continueInNewPidNamespace(_ channel: borrowing CommandChannel) throws(CommandFailure) {
        let pid = swg_fork_sibling_in_new_pid_namespace()
        if pid < 0 { throw CommandFailure("making a pid namespace", SystemError(call: "clone", errno: .current)) }
        if pid > 0 {
            try? channel.send(.initialProcess, "\(pid)")
            _exit(0)
        }
        // A death before this line shows as the end of the channel, on which `waitForStart` ends the process.
        try attempt("binding a process to its parent") { () throws(SystemError) in
            try PrivilegeStages.dieWithParent(parent: 0)
        }
    }

    /// 4. The file tree.
    private static func arrangeFiles(_ setup: CommandSetup) throws(CommandFailure) {
        do throws(MountError) {
            try MountExecutor.carryOut(setup.mounts)
        } catch {
            throw CommandFailure("covering the host's files", error)
        }
    }

    private static func waitForStart(_ channel: borrowing CommandChannel) throws(CommandFailure) {
        let word: CommandChannel.Word?
        do throws(SystemError) {
            word = try channel.receive()?.word
        } catch {
            throw CommandFailure("waiting for the word to start", error)
        }
        // The parent has ended or thought better of it.
        if word != .start { _exit(RunStatus.failed) }
    }

    /// 5. As the invoking user, with no capability, for good.
    private static func giveUpPrivileges(_ setup: CommandSetup) throws(CommandFailure) {
        try attempt("giving up privileges") { () throws(SystemError) in
            try PrivilegeStages.leaveSessionKeyring()
            // Debian's ping is a file with CAP_NET_RAW: exec fails when the bounding set lacks it.
            try PrivilegeStages.limitCapabilities(bounding: [.rawSockets])
            if setup.user.isChange || setup.user.groups != nil {
                try PrivilegeStages.becomeUser(uid: setup.user.uid, gid: setup.user.gid, groups: setup.user.groups)
            }
            try PrivilegeStages.dropCapabilities()
            try PrivilegeStages.refuseNewPrivileges()
            try PrivilegeStages.dieWithParent(parent: setup.isStrict ? 0 : setup.parent)
        }
        // The old directory would be one from before the mounts. In /tmp of --strict it is gone.
        if setup.workingDirectory.map({ chdir($0) }) != 0 { chdir("/") }
    }

    /// 6. The filter and exec. Returns the status when that fails.
    static func becomeCommand(
        _ setup: CommandSetup, _ channel: borrowing CommandChannel
    ) throws(CommandFailure) -> Int32 {
        let arguments = CStringVector(setup.command)
        let environment = CStringVector(setup.environment)
        var mask = setup.signalMask
        signal(SIGPIPE, SIG_DFL)
        sigprocmask(SIG_SETMASK, &mask, nil)
        if let filter = setup.filter {
            try attempt("installing the system-call filter") { () throws(SystemError) in try filter.install() }
        }
        if let program = arguments.pointer[0] { execvpe(program, arguments.pointer, environment.pointer) }
        var error = Errno.current
        // A directory of PATH that may not be searched hides that the command is in none of them.
        if error.rawValue == EACCES, !isThere(setup.command[0]) { error = Errno(ENOENT) }
        try? channel.send(.execFailed, "cannot run \(printable(setup.command[0])): \(error)")
        return error.rawValue == ENOENT ? RunStatus.notFound : RunStatus.cannotExecute
    }

    private static func isThere(_ command: String) -> Bool {
        if command.contains("/") { return true }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return path.split(separator: ":").contains { File.exists("\($0)/\(command)") }
    }

    private static func say(
        _ word: CommandChannel.Word, on channel: borrowing CommandChannel
    ) throws(CommandFailure) {
        do throws(SystemError) {
            try channel.send(word)
        } catch {
            throw CommandFailure("telling swg-ns", error)
        }
    }

    private static func attempt(_ what: String, _ body: () throws(SystemError) -> Void) throws(CommandFailure) {
        do throws(SystemError) {
            try body()
        } catch {
            throw CommandFailure(what, error)
        }
    }
}
