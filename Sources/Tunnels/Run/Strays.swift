import Glibc
import LinuxSystem
import Namespaces

/// Processes that the command left behind in its network namespace.
///
/// Found by the namespace and not by descent: a daemon that detached itself has no parent to be found by. The
/// namespace is held open by a descriptor meanwhile, so that its number cannot become another's (promise P5).
enum Strays {
    /// Kills them, and whoever they start meanwhile. Returns how many were killed.
    @discardableResult
    static func kill(in namespace: borrowing NetworkNamespace) -> Int {
        var killed = 0
        // A process that forks as fast as we kill gets a limited number of rounds; it has no way out anyway.
        for _ in 0..<100 {
            guard let inside = try? NamespaceProcesses.inside(namespace.identity) else { break }
            let others = inside.pids.filter { $0 != getpid() }
            if others.isEmpty { break }
            for pid in others where kill(pid, in: namespace) { killed += 1 }
        }
        return killed
    }

    private static func kill(_ pid: Int32, in namespace: borrowing NetworkNamespace) -> Bool {
        guard let process = try? ProcessDescriptor.open(pid),
            // Asked again with the pidfd in hand: the number still means a process of this namespace.
            let found = try? NetworkNamespace.open(pid: pid, allowOwn: true), found.isSame(as: namespace)
        else { return false }
        guard (try? process.send(SIGKILL)) == true else { return false }
        _ = try? process.waitForExit(milliseconds: 1000)
        return true
    }
}
