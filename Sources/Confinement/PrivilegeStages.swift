import CLinux
import Glibc
import LinuxSystem

/// How a process of ours gives its privileges up, in this order and no other.
///
/// Used by the engine's worker after it was executed afresh, and by the child of `swg-ns run` between its
/// last mount and the exec of the command. Each stage acts on the calling thread, so all of them belong
/// before the first further thread. What can go wrong: a stage that is refused must end the process; a
/// process that goes on with half of the stages done is what an attacker hopes for. So every function
/// throws, and none has a fallback.
///
/// 1. `closeInheritedDescriptors`: a descriptor is a right that no later stage takes back (leak rows 1 to 3).
/// 2. `leaveSessionKeyring`: keys that a login put there stay with the login (leak row 16).
/// 3. `limitCapabilities`: the bounding set and securebits while CAP_SETPCAP is still held.
/// 4. `becomeUser`: groups, gid, uid; needs SETGID and SETUID, and clears the parent-death signal.
/// 5. `dropCapabilities`: what a change to the same uid, or to uid 0, left over.
/// 6. `refuseNewPrivileges`: setuid and file capabilities do nothing from here on (leak row 13).
/// 7. `hideMemory`: not dumpable, no core file. Only for a process that does not exec: exec resets it.
/// 8. `dieWithParent`: last of the credentials' stages, since stages 4 and 5 may reset it.
/// 9. `SystemCallFilter.install`: last of all; the stages above use calls that it may forbid.
public enum PrivilegeStages {
    /// Stage 1. Closes every descriptor from `first` on but those listed. close_range(2).
    public static func closeInheritedDescriptors(from first: Int32 = 3, keeping kept: [Int32] = []) throws(SystemError)
    {
        var next = UInt32(clamping: first)
        for number in Set(kept).sorted() where number >= first {
            let keep = UInt32(clamping: number)
            if keep > next { try closeRange(next, keep - 1) }
            next = keep + 1
        }
        try closeRange(next, .max)
    }

    private static func closeRange(_ first: UInt32, _ last: UInt32) throws(SystemError) {
        try systemCall("close_range", "\(first)-\(last)") { swg_close_range(first, last, 0) }
    }

    /// Stage 2. A new, empty, anonymous session keyring. keyctl(2) KEYCTL_JOIN_SESSION_KEYRING.
    public static func leaveSessionKeyring() throws(SystemError) {
        let joinSessionKeyring: Int32 = 1
        do {
            try systemCall("keyctl(KEYCTL_JOIN_SESSION_KEYRING)") { swg_keyctl(joinSessionKeyring, 0, 0) }
        } catch {
            // A kernel without keys, or a container's filter in front of keyctl: there is nothing to leave then.
            switch error.errno.rawValue {
            case ENOSYS, EPERM, EACCES, EDQUOT: return
            default: throw error
            }
        }
    }

    /// Stage 3. Limits what any later exec could gain. Does nothing without CAP_SETPCAP: such a process has
    /// no capability to lose, and stage 6 keeps it so.
    ///
    /// - Parameter bounding: what stays in the bounding set. CAP_NET_RAW belongs there for commands: Debian's
    ///   ping carries it as a file capability, and exec of such a file fails when the bounding set lacks it.
    public static func limitCapabilities(bounding: CapabilitySet) throws(SystemError) {
        try ThreadCapabilities.clearAmbient()
        guard try ThreadCapabilities.current().effective.contains(.numbered(CAP_SETPCAP)) else { return }
        try ThreadCapabilities.limitBounding(to: bounding)
        try ThreadCapabilities.makeRootOrdinary()
    }

    /// Stage 4. setgroups(2), setresgid(2), setresuid(2), and a look whether they took.
    ///
    /// - Parameter groups: supplementary groups; nil leaves them (in a user namespace setgroups is denied).
    /// - Throws: EINVAL for the id -1, which the kernel takes for "no change".
    public static func becomeUser(uid: uid_t, gid: gid_t, groups: [gid_t]?) throws(SystemError) {
        guard uid != .max, gid != .max else {
            throw SystemError(call: "setresuid", object: "\(uid)", errno: Errno(EINVAL))
        }
        if let groups {
            try systemCall("setgroups", "\(groups)") { setgroups(groups.count, groups) }
        }
        try systemCall("setresgid", "\(gid)") { swg_setresgid(gid) }
        try systemCall("setresuid", "\(uid)") { swg_setresuid(uid) }
        guard getuid() == uid, geteuid() == uid, getgid() == gid, getegid() == gid else {
            throw SystemError(
                call: "setresuid", object: "\(uid)", errno: Errno(EPERM), detail: "the kernel kept the old ids")
        }
    }

    /// Stage 5. Permitted and effective become `kept`, inheritable and ambient empty.
    public static func dropCapabilities(keeping kept: CapabilitySet = []) throws(SystemError) {
        try ThreadCapabilities.keepOnly(kept)
    }

    /// Stage 6. PR_SET_NO_NEW_PRIVS.
    public static func refuseNewPrivileges() throws(SystemError) {
        try systemCall("prctl(PR_SET_NO_NEW_PRIVS)") { swg_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
    }

    /// Stage 7. As `denyInspection`, and no core file.
    public static func hideMemory() throws(SystemError) {
        try denyInspection()
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        try systemCall("setrlimit(RLIMIT_CORE)") { setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) }
    }

    /// PR_SET_DUMPABLE 0 closes /proc/PID/mem and ptrace(2) to the same user, and there is no core file either
    /// (promise P3). Unlike the limit of stage 7 nothing of it passes to a program that is executed.
    public static func denyInspection(_ denied: Bool = true) throws(SystemError) {
        try systemCall("prctl(PR_SET_DUMPABLE)") { swg_prctl(PR_SET_DUMPABLE, denied ? 0 : 1, 0, 0, 0) }
    }

    /// Stage 8. PR_SET_PDEATHSIG. A parent that ended before the call sends nothing, so it is compared.
    ///
    /// - Parameter parent: the parent's pid as this process sees it; 0 across a pid namespace.
    public static func dieWithParent(_ signal: Int32 = SIGKILL, parent: pid_t) throws(SystemError) {
        try systemCall("prctl(PR_SET_PDEATHSIG)") { swg_prctl(PR_SET_PDEATHSIG, UInt(signal), 0, 0, 0) }
        guard getppid() == parent else {
            throw SystemError(
                call: "getppid", object: "process \(parent)", errno: Errno(ESRCH), detail: "the parent has ended")
        }
    }
}
