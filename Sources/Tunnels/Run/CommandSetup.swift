import Confinement
import Glibc
import LinuxSystem

/// Everything that the child needs in order to become the command, decided beforehand in the parent.
struct CommandSetup {
    /// Where the command's network is.
    enum Place {
        /// A namespace of its own with a tunnel that is still to be made. `rootless`: inside a new user
        /// namespace. `makesDevice`: the child opens the TUN; otherwise the parent puts a device there.
        case new(TunnelPlan, rootless: Bool, makesDevice: Bool)
        /// An attached one; its owner is joined first when that is another user namespace than ours.
        case join(network: Int32, user: Int32?)
    }

    var place: Place
    var command: [String]
    /// `NAME=value`, confined.
    var environment: [String]
    var user: InvokingUser
    /// Made in the caller's namespaces: it depends on what listens there.
    var mounts: MountPlan
    /// Of `--strict`; nil otherwise.
    var filter: SystemCallFilter?
    var workingDirectory: String?
    /// The signal mask that `swg-ns` was started with.
    var signalMask: sigset_t
    /// `swg-ns` itself.
    var parent: pid_t

    var isStrict: Bool { filter != nil }
    var isRootless: Bool {
        switch place {
        case .new(_, let rootless, _): rootless
        case .join(_, let user): user != nil
        }
    }
}

/// Why the child could not become the command; its text goes to the parent over the channel.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    init(_ attempt: String, _ error: any Error) { description = "\(attempt): \(error)" }
}

extension CommandSetup {
    /// The parts that `run` and `exec` decide alike.
    init(
        place: Place, command: [String], user: InvokingUser, resolver: ResolverFiles, secretFiles: [String],
        stateDirectory: String, strict: Bool, signalMask: sigset_t
    ) throws(TunnelError) {
        let environment = EnvironmentVariables.own
        var filter: SystemCallFilter?
        do throws(SystemError) {
            filter = strict ? try SystemCallFilter.strictRun() : nil
        } catch {
            throw TunnelError(error, doing: "compiling the system-call filter of --strict")
        }
        let files = ConfinedFiles(
            resolver: resolver, user: user, isStrict: strict, secretFiles: secretFiles.compactMap(realPath),
            stateDirectory: realPath(stateDirectory) ?? stateDirectory,
            runtimeDirectory: environment["XDG_RUNTIME_DIR"].flatMap(realPath),
            homeDirectory: user.isChange ? user.home : environment["HOME"])
        self.init(
            place: place, command: command,
            environment: CommandEnvironment.confined(
                environment.entries, for: user, runtimeDirectory: files.commandRuntimeDirectory),
            user: user, mounts: files.plan(), filter: filter, workingDirectory: currentDirectory(),
            signalMask: signalMask,
            parent: getpid())
    }
}

/// realpath(3); nil when nothing is there.
private func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
}

private func currentDirectory() -> String? {
    guard let path = getcwd(nil, 0) else { return nil }
    defer { free(path) }
    return String(cString: path)
}
