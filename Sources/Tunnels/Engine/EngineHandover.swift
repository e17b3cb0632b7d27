import CLinux
import Glibc
import LinuxSystem

/// Taking over from a live engine.
enum EngineHandover {
    /// Whether the process executes this very file; an upgrade replaces it.
    static func runs(_ engine: ProcessIdentity, _ program: String) -> Bool {
        guard let live = try? FileDescriptor.open("/proc/\(engine.pid)/exe", O_PATH).identity(),
            let installed = try? FileDescriptor.open(program, O_PATH).identity()
        else { return false }
        return live == installed
    }

    /// A duplicate of the engine's TUN. pidfd_getfd(2), which asks for CAP_SYS_PTRACE.
    static func takeTun(of engine: ProcessIdentity) throws(SystemError) -> FileDescriptor {
        guard let process = try engine.open() else {
            throw SystemError(call: "pidfd_open", object: "process \(engine.pid)", errno: Errno(ESRCH))
        }
        for name in try File.links(to: TunDevice.path, in: "/proc/\(engine.pid)/fd") {
            guard let number = Int32(name) else { continue }
            let pidfd = process.descriptor.rawValue
            return FileDescriptor(
                owning: try systemCall("pidfd_getfd", "descriptor \(number) of process \(engine.pid)") {
                    swg_pidfd_getfd(pidfd, number)
                })
        }
        throw SystemError(
            call: "find", object: "the TUN of process \(engine.pid)", errno: Errno(ENOENT), detail: "it holds none")
    }
}

extension TunnelKeeper {
    /// The engine that a repair put in the place of one that has ended; nil when it just ended.
    ///
    /// Called by `attach --foreground`. A repair ends the old engine before it starts the new one, and holds the
    /// tunnel's lock all the time: so this waits for the lock.
    public func successor(of engine: ProcessIdentity, in id: TunnelID) -> ProcessIdentity? {
        guard let lock = try? state.lock(id, wait: true) else { return nil }
        let found = try? record(id)
        _ = consume lock
        guard let next = found?.engineProcess, next != engine, next.isAlive else { return nil }
        return next
    }
}
