import Glibc
import LinuxSystem

/// Whether this process may make a user namespace that is worth something.
public enum UserNamespaceProbe {
    /// Tries in a child that ends at once: a user namespace, then a network namespace inside it. Ubuntu grants
    /// the first and leaves it without power, so that only the second one fails.
    ///
    /// - Parameter user: tries it as this uid and without groups, for root who asks on behalf of others.
    /// - Throws: the kernel's refusal, `unshare` on what it refused.
    public static func run(as user: UInt32? = nil) throws(SystemError) {
        let child = try systemCall("fork") { fork() }
        if child == 0 {
            // Only system calls here: the parent may have threads whose locks are held for ever in the copy.
            if let user, setgroups(0, nil) != 0 || setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0
            {
                // Root that may not become another: then nobody here is an ordinary user.
                _exit(0)
            }
            if unshare(CLONE_NEWUSER) != 0 { _exit(errno & 0x7f) }
            if unshare(CLONE_NEWNET) != 0 { _exit(errno & 0x7f | 0x80) }
            _exit(0)
        }
        var status: Int32 = 0
        try systemCall("waitpid", "process \(child)") { waitpid(child, &status, 0) }
        guard case .exited(let code) = ChildProcess.Ending(waitStatus: status) else {
            throw SystemError(call: "unshare", object: "user namespace", errno: Errno(EPERM))
        }
        if code == 0 { return }
        throw SystemError(
            call: "unshare", object: code & 0x80 == 0 ? "user namespace" : "network namespace in a user namespace",
            errno: Errno(code & 0x7f))
    }
}
