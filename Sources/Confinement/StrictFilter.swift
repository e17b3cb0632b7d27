import CLinux
import Glibc
import LinuxSystem

extension SystemCallFilter {
    /// The filter of `run --strict`: ordinary programs pass, the ways around a network namespace do not.
    ///
    /// A list of what is refused, since a list of what is allowed would have to know every program. Rows are
    /// those of the leak table.
    public static func strictRun() throws(SystemError) -> SystemCallFilter {
        var rules: [Rule] = []
        for name in refusedCalls { rules.append(Rule(name, .fail(EPERM))) }
        // Programs take ENOSYS for an older kernel and do without.
        for name in absentCalls { rules.append(Rule(name, .fail(ENOSYS))) }
        rules += newUserNamespace + addressFamilies + terminalInjection
        return try SystemCallFilter(rules: rules, otherwise: .allow, ignoringUnknownNames: true)
    }

    private static let refusedCalls = [
        // Row 11: into other processes.
        "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
        // Row 12: other namespaces, other mounts.
        "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount", "fsopen",
        "fsconfig", "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "fanotify_init",
        // Row 16: keyrings, whose upcalls run in the first network namespace.
        "keyctl", "add_key", "request_key",
        // The kernel itself.
        "bpf", "perf_event_open", "userfaultfd", "init_module", "finit_module", "delete_module", "kexec_load",
        "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "iopl", "ioperm",
        "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname", "vhangup",
        "syslog", "lookup_dcookie", "nfsservctl",
    ]

    private static let absentCalls = [
        // Row 3: a ring may run calls that a filter never sees.
        "io_uring_setup", "io_uring_enter", "io_uring_register",
        // Its flags are in memory, where a filter cannot read them; every libc falls back to clone.
        "clone3",
    ]

    /// A user namespace would give its maker every capability in it.
    private static let newUserNamespace: [Rule] = {
        let flag = UInt64(UInt32(bitPattern: CLONE_NEWUSER))
        return [
            Rule("unshare", .fail(EPERM), [.masked(0, mask: flag, flag)]),
            Rule("clone", .fail(EPERM), [.masked(0, mask: flag, flag)]),
        ]
    }()

    /// Rows 15 and 17: only families that a network namespace (or, for UNIX, the mount namespace) confines.
    private static let addressFamilies: [Rule] = {
        let allowed = Set([AF_UNIX, AF_INET, AF_INET6, AF_NETLINK].map(UInt64.init))
        let end: UInt64 = 64
        return ["socket", "socketpair"].flatMap { name in
            (0..<end).filter { !allowed.contains($0) }.map { Rule(name, .fail(EAFNOSUPPORT), [.equal(0, $0)]) }
                + [Rule(name, .fail(EAFNOSUPPORT), [.atLeast(0, end)])]
        }
    }()

    /// Typing into the caller's terminal would run commands in the caller's shell, outside.
    private static let terminalInjection: [Rule] = {
        let low = UInt64(UInt32.max)
        return [TIOCSTI, TIOCLINUX].map {
            Rule("ioctl", .fail(EPERM), [.masked(1, mask: low, UInt64(UInt32(truncatingIfNeeded: $0)))])
        }
    }()
}
