import CLinux
import Confinement
import Glibc
import LinuxSystem

/// What the two processes of the engine give up.
enum Confine {
    /// The monitor keeps what makes sockets, moves and starts workers: nothing else of root.
    static let monitorCapabilities: CapabilitySet = [
        .networkAdministration, .bindPrivilegedPorts, .setUserID, .setGroupID, .kill,
    ]

    static func monitor(_ log: EngineLog) {
        do throws(SystemError) {
            try PrivilegeStages.limitCapabilities(bounding: monitorCapabilities)
            try PrivilegeStages.dropCapabilities(keeping: monitorCapabilities)
            try PrivilegeStages.hideMemory()
        } catch {
            log.error("\(error)")
        }
    }

    /// The worker before it reads anything: no capability, no way back. Its user is its own since before exec.
    static func worker(parent: pid_t) throws(SystemError) {
        try PrivilegeStages.dropCapabilities()
        try PrivilegeStages.refuseNewPrivileges()
        try PrivilegeStages.hideMemory()
        try PrivilegeStages.dieWithParent(parent: parent)
    }

    /// Each thread of the worker for itself, as the last thing before it serves: nobody may start another then.
    static func thread(_ filter: SystemCallFilter) {
        do throws(SystemError) {
            try filter.install()
        } catch {
            // A worker that serves without its filter is what an attacker hopes for.
            fatalError("\(error)")
        }
    }

    /// Every call that the three loops make. Without socket, bind, connect, open, exec, ptrace, or signals to others.
    static func filter() throws(SystemError) -> SystemCallFilter {
        try SystemCallFilter.allowList([
            "epoll_wait", "epoll_pwait", "epoll_ctl", "poll", "ppoll", "read", "write", "writev", "pread64",
            "pwrite64",
            "recvmmsg", "recvmsg", "sendmsg", "sendto", "accept4", "close", "dup3", "fallocate",
            "timerfd_settime", "clock_gettime", "getrandom", "futex", "sched_yield", "restart_syscall",
            "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "munlock", "brk",
            "rt_sigprocmask", "rt_sigreturn", "exit", "exit_group", "gettid", "getpid",
        ])
    }
}
