import Glibc
import LinuxSystem

/// Why this system gives an ordinary user no user namespace, and the cure (promise P6).
enum UserNamespaceTrouble {
    /// - Parameter readSetting: the content of a file of /proc/sys; replaced in tests.
    static func explain(
        _ error: SystemError, readSetting: (String) -> String? = { try? File.readText($0) }
    ) -> String {
        let attempt = "making a user namespace (needed to run without root): \(error)"
        func setting(_ path: String) -> String? { readSetting(path)?.split(separator: "\n").first.map(String.init) }
        if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
            return
                "\(attempt); this system forbids them: sudo sysctl -w kernel.unprivileged_userns_clone=1, or use sudo"
        }
        if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
            return "\(attempt); AppArmor allows them only to programs with a profile that has \"userns,\": install "
                + "/etc/apparmor.d/swg-ns with `profile swg-ns /usr/{local/,}bin/swg-ns flags=(unconfined) { userns, }`, or "
                + "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or use sudo"
        }
        if setting("/proc/sys/user/max_user_namespaces") == "0" {
            return
                "\(attempt); their number is limited to 0: sudo sysctl -w user.max_user_namespaces=15000, or use sudo"
        }
        switch error.errno.rawValue {
        case EPERM, EACCES:
            return
                "\(attempt); this container or its system-call filter forbids them: allow unshare with CLONE_NEWUSER, or use sudo"
        case EINVAL where error.call == "unshare":
            return "\(attempt); the kernel was built without them (CONFIG_USER_NS): use sudo"
        default:
            return attempt
        }
    }
}
