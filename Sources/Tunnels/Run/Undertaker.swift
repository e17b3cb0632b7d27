import CLinux
import Confinement
import Glibc
import LinuxSystem

/// A small process that outlives `swg-ns run` by a moment: when that ends without having cleaned up, killed by
/// SIGKILL for instance, it undoes what the tunnel's journal says. It is forked before any configuration is
/// read, so it has no key, and keeps nothing open but a pipe.
struct Undertaker: ~Copyable {
    private let child: pid_t
    private let pipe: FileDescriptor

    /// Forks it. Only while the process has a single thread.
    static func start(_ keeper: TunnelKeeper) throws(TunnelError) -> Undertaker {
        do throws(SystemError) {
            let pipe = try Pipe()
            let child = fork()
            if child < 0 { throw SystemError(call: "fork", errno: .current) }
            if child == 0 { watch(pipe.readEnd.rawValue, keeper) }
            return Undertaker(child: child, pipe: pipe.takeWriteEnd())
        } catch {
            throw TunnelError(error, doing: "starting the process that cleans up after us")
        }
    }

    /// From here on it is responsible for this tunnel.
    borrowing func watch(over id: TunnelID) {
        _ = try? pipe.writeAll(id.text + "\n", object: "the undertaker")
    }

    /// Everything is cleaned up: it is not needed any more.
    consuming func dismiss() {
        kill(child, SIGKILL)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
    }

    private static func watch(_ number: Int32, _ keeper: TunnelKeeper) -> Never {
        // Neither the terminal's signals nor the end of its session.
        setsid()
        swg_prctl(PR_SET_NAME, UInt(bitPattern: strdup("swg-undertaker")), 0, 0, 0)
        do {
            try PrivilegeStages.closeInheritedDescriptors(from: 0, keeping: [number])
            chdir("/")
            let pipe = FileDescriptor(owning: number)
            // Ends when the last writer has ended, however it did.
            let text = try pipe.readAll(limitBytes: 4096, object: "the undertaker's pipe")
            for line in text.split(separator: UInt8(ascii: "\n")) {
                guard let id = try? TunnelID(String(decoding: line, as: UTF8.self)) else { continue }
                _ = try? keeper.detach(id)
            }
            // What had been begun before we were told of it.
            _ = try? keeper.collectGarbage()
        } catch {
            _exit(1)
        }
        _exit(0)
    }
}
