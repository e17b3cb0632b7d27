import Glibc
import LinuxSystem

/// Why this system gives an ordinary user no user namespace, and the cure (promise P6).
struct UserNamespaceTrouble {
    let refusal: SystemError
    /// Nil when nothing here explains it.
    private(set) var cause: String?
    private(set) var cure: String?

    /// - Parameter readSetting: the content of a file of /proc/sys; replaced in tests.
    init(_ refusal: SystemError, readSetting: (String) -> String? = { try? File.readText($0) }) {
        self.refusal = refusal
        func setting(_ path: String) -> String? { readSetting(path)?.split(separator: "\n").first.map(String.init) }
        if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
            cause = "this system forbids them"
            cure = "sudo sysctl -w kernel.unprivileged_userns_clone=1, or use sudo"
        } else if setting("/proc/sys/user/max_user_namespaces") == "0" {
            cause = "their number is limited to 0"
            cure = "sudo sysctl -w user.max_user_namespaces=15000, or use sudo"
        } else if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
            cause = "AppArmor allows them only to programs with a profile that has \"userns,\""
            cure =
                "install /etc/apparmor.d/swg-ns with `profile swg-ns /usr/{local/,}bin/swg-ns flags=(unconfined) "
                + "{ userns, }` and load it with apparmor_parser -r, or sudo sysctl -w "
                + "kernel.apparmor_restrict_unprivileged_userns=0, or use sudo"
        } else {
            switch refusal.errno.rawValue {
            case EPERM, EACCES:
                cause = "this container, chroot or system-call filter forbids them"
                cure = "allow unshare with CLONE_NEWUSER, or use sudo"
            case EINVAL where refusal.call == "unshare":
                cause = "the kernel was built without them (CONFIG_USER_NS)"
                cure = "use sudo"
            case ENOSPC:
                cause = "too many of them live, or they are nested too deep"
                cure = "sudo sysctl -w user.max_user_namespaces=15000, or use sudo"
            default: break
            }
        }
    }

    /// For the error of `run`, in one sentence.
    var explanation: String {
        let attempt = "making a user namespace (needed to run without root): \(refusal)"
        guard let cause, let cure else { return attempt }
        return "\(attempt); \(cause): \(cure)"
    }
}
