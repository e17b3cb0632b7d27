import Glibc
import LinuxSystem

/// How the monitor starts a worker: a fresh execution of our own program, with what it will ever hold.
struct WorkerStart: ~Copyable {
    /// Our own program, as it was when the monitor started: an upgrade never mixes versions.
    private let executable: FileDescriptor
    private let options: LaunchOptions
    private let log: EngineLog

    init(_ options: LaunchOptions, log: EngineLog) throws(SystemError) {
        executable = try FileDescriptor.open("/proc/self/exe", O_PATH)
        self.options = options
        self.log = log
    }

    /// - Parameters: descriptors that the worker gets, owned by the caller.
    /// - Throws: what fork(2) or exec(2) says; there is no process then.
    func start(
        tun: Int32, listener: Int32, channel: Int32, configuration: Int32, state: Int32
    ) throws(SystemError) -> ChildProcess {
        var spawn = Spawn(
            .descriptor(executable.rawValue), arguments: ["swg-engine", Worker.marker, options.name],
            environment: ["LOG_LEVEL=\(options.levelName)", "SWIFT_BACKTRACE=enable=no"]
                + (options.tunLayout.map { ["SWG_TUN_LAYOUT=\($0.text)"] } ?? []))
        spawn.descriptors = Worker.descriptors(
            tun: tun, listener: listener, channel: channel, configuration: configuration, state: state)
        spawn.directory = "/"
        return try startConfined(spawn)
    }

    /// As a user of its own where that is possible; else as ours.
    private func startConfined(_ plan: Spawn) throws(SystemError) -> ChildProcess {
        guard geteuid() == 0 else { return try plan.start() }
        var spawn = plan
        // Our pid is unique among the tunnels of this pid namespace, and so is the worker's user: one that was taken
        // over cannot reach the others.
        let own = uid_t(0x6a00_0000) + uid_t(UInt32(getpid()) & 0x00ff_ffff)
        spawn.identity = (own, own)
        do throws(SystemError) {
            return try spawn.start()
        } catch {
            // A user namespace that maps one user only, or a program file that only root may execute. A machine
            // that has no process or memory to spare is no reason to give up a user.
            guard [EINVAL, EPERM, EACCES].contains(error.errno.rawValue) else { throw error }
            log.verbose("the worker has no user of its own: \(error)")
            return try plan.start()
        }
    }
}
