import CLinux
import Confinement
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces

extension TunnelKeeper {
    /// Joins an attached namespace with one command, confined as `run` confines it.
    ///
    /// The tunnel stays when the command ends, and so does what the command left in the namespace, except
    /// under --strict.
    /// - Returns and throws: as `run`.
    public func execute(_ request: ExecRequest) throws(TunnelError) -> Int32 {
        guard !request.command.isEmpty else {
            throw TunnelError(.usage, "no command is given", cure: "swg-ns exec TUNNEL -- COMMAND")
        }
        try InheritedDescriptors.fillGaps()
        let user = try InvokingUser.find(asked: request.user)
        let record = try record(request.tunnel)
        guard let namespace = try record.namespace.open() else {
            throw TunnelError(
                .target, "the network namespace of tunnel \(request.tunnel) is gone",
                cure: "swg-ns detach \(request.tunnel)")
        }
        // Unprivileged the cookie cannot be asked from outside; then every network socket counts as foreign.
        try InheritedDescriptors.check(commandNamespaceCookie: try? namespace.cookie())
        let owner = try foreignOwner(of: namespace)
        if owner == nil { allowPing(request.tunnel, record.namespace, inside: namespace, group: user.gid) }
        let mask = CommandSupervisor.blockSignals()
        let setup = try CommandSetup(
            place: .join(network: namespace.descriptor.rawValue, user: owner), command: request.command,
            user: user,
            resolver: ResolverFiles(
                servers: record.dnsServers.compactMap { IPAddress($0) }, searchDomains: record.searchDomains),
            secretFiles: record.filesWithKeys, stateDirectory: stateDirectory,
            strict: request.strict, signalMask: mask)
        let terminal = TerminalOwner()
        var child = try CommandProcess.fork(setup)
        do throws(TunnelError) {
            try child.waitUntilReady()
            let ending = try child.startAndWait()
            terminal?.restore()
            return ending.exitStatus()
        } catch {
            child.abandon()
            terminal?.restore()
            throw error
        }
    }

    /// The user namespace to join first: the one that owns the network namespace, unless it is ours.
    /// Stays open until this short-lived program ends.
    private func foreignOwner(of namespace: borrowing NetworkNamespace) throws(TunnelError) -> Int32? {
        do throws(SystemError) {
            let owner = try namespace.ownerUserNamespace()
            let own = try FileDescriptor.open("/proc/self/ns/user", O_RDONLY)
            if try owner.identity() == own.identity() {
                guard geteuid() == 0 else {
                    throw SystemError(
                        call: "setns", object: namespace.label, errno: Errno(EPERM),
                        detail: "this tunnel is root's: use sudo")
                }
                return nil
            }
            return owner.release()
        } catch {
            throw TunnelError(error, doing: "looking who owns the tunnel's network namespace")
        }
    }
}
