import Glibc
import LinuxSystem

/// The identity maps of a new user namespace. user_namespaces(7).
public enum UserNamespaceMaps {
    /// Maps one outer user and group, as an unprivileged process may for itself.
    ///
    /// - Parameters:
    ///   - process: `self`, or the pid of the child that made the namespace.
    ///   - inside: the ids as seen in the new namespace.
    ///   - outside: the caller's ids, taken before the namespace was made.
    public static func map(
        process: String = "self", inside: (uid: uid_t, gid: gid_t), outside: (uid: uid_t, gid: gid_t)
    ) throws(SystemError) {
        do {
            // Without this the kernel refuses gid_map to the unprivileged: groups could be dropped to pass
            // a file that denies one of them.
            try File.write("deny", to: "/proc/\(process)/setgroups")
            try File.write("\(inside.uid) \(outside.uid) 1", to: "/proc/\(process)/uid_map")
            try File.write("\(inside.gid) \(outside.gid) 1", to: "/proc/\(process)/gid_map")
        } catch {
            guard error.errno.rawValue == EPERM || error.errno.rawValue == EACCES else { throw error }
            throw error.explained(
                "user namespaces are restricted here: on Ubuntu an AppArmor profile that allows userns is needed "
                    + "(or sysctl kernel.apparmor_restrict_unprivileged_userns=0)")
        }
    }
}
