import CLinux
import Confinement
import Glibc
import LinuxSystem
import Testing

@Suite struct SystemCallFilterTests {
    @Test func `a worker's filter lets the listed calls through and kills at the first other one`() async {
        let names = ["read", "write", "exit_group", "rt_sigreturn", "munmap", "mmap", "brk", "getpid"]
        await #expect(processExitsWith: .exitCode(0)) {
            let filter = try SystemCallFilter.allowList(["write", "exit_group", "getpid"])
            try PrivilegeStages.refuseNewPrivileges()
            try filter.install()
            _exit(getpid() > 0 ? 0 : 1)
        }
        await #expect(processExitsWith: .signal(SIGSYS)) {
            let filter = try SystemCallFilter.allowList(["write", "exit_group"])
            try PrivilegeStages.refuseNewPrivileges()
            try filter.install()
            socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            _exit(0)
        }
        #expect(throws: Never.self) { try SystemCallFilter.allowList(names, otherwise: .fail(EPERM)) }
    }

    @Test func `a misspelt system call is an error in the parent, not a death in the child`() {
        #expect(throws: SystemError.self) { try SystemCallFilter.allowList(["red"]) }
    }

    @Test func `leak row 15: only UNIX, INET, INET6 and NETLINK sockets under --strict`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try installStrict()
            for family in [AF_UNIX, AF_INET, AF_INET6] where socket(family, Int32(SOCK_DGRAM.rawValue), 0) < 0 {
                exit(1)
            }
            if socket(AF_NETLINK, Int32(SOCK_RAW.rawValue), 0) < 0 { exit(2) }
            for family: Int32 in [AF_VSOCK, AF_PACKET, AF_BLUETOOTH, AF_ALG, AF_QIPCRTR, 63, 64, 4711, -1] {
                errno = 0
                if socket(family, Int32(SOCK_DGRAM.rawValue), 0) >= 0 || errno != EAFNOSUPPORT { exit(3) }
            }
            // The kernel looks at the lower half of the register; the filter must see all of it.
            if syscallTwo(SYS_socket, Int(bitPattern: 0x1_0000_0028), Int(SOCK_DGRAM.rawValue)) >= 0 { exit(4) }
            exit(0)
        }
    }

    @Test func `leak rows 3, 11, 12, 16: rings, other processes, namespaces and keyrings are refused under --strict`()
        async
    {
        await #expect(processExitsWith: .exitCode(0)) {
            try installStrict()
            let refused: [(Int32, Int32)] = [
                (Int32(SYS_io_uring_setup), ENOSYS), (Int32(SYS_io_uring_enter), ENOSYS), (Int32(SYS_clone3), ENOSYS),
                (Int32(SYS_ptrace), EPERM), (Int32(SYS_pidfd_getfd), EPERM), (Int32(SYS_process_vm_readv), EPERM),
                (Int32(SYS_setns), EPERM), (Int32(SYS_mount), EPERM), (Int32(SYS_keyctl), EPERM),
                (Int32(SYS_bpf), EPERM), (Int32(SYS_perf_event_open), EPERM), (Int32(SYS_open_by_handle_at), EPERM),
            ]
            for (number, expected) in refused {
                errno = 0
                if syscallTwo(number, -1, 0) != -1 || errno != expected { exit(number % 200 + 1) }
            }
            exit(0)
        }
    }

    @Test func `--strict: no new user namespace, while other processes and threads can be made`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try installStrict()
            errno = 0
            if unshare(CLONE_NEWUSER) == 0 || errno != EPERM { exit(1) }
            errno = 0
            if unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || errno != EPERM { exit(2) }
            let child = fork()
            if child == 0 { _exit(7) }
            var status: Int32 = 0
            waitpid(child, &status, 0)
            if swg_wexitstatus(status) != 7 { exit(3) }
            var thread = pthread_t()
            if pthread_create(&thread, nil, { _ in nil }, nil) != 0 { exit(4) }
            pthread_join(thread, nil)
            exit(0)
        }
    }

    @Test func `--strict: nothing can be typed into the caller's terminal`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try installStrict()
            errno = 0
            var byte: CChar = 0x0a
            // Not a terminal here: without the filter the answer would be ENOTTY.
            if swg_ioctl_pointer(0, UInt(TIOCSTI), &byte) == 0 || errno != EPERM { exit(1) }
            if swg_ioctl_pointer(0, UInt(TIOCSTI) | 0x7_0000_0000, &byte) == 0 || errno != EPERM { exit(2) }
            exit(0)
        }
    }
}

private func installStrict() throws {
    let filter = try SystemCallFilter.strictRun()
    try PrivilegeStages.refuseNewPrivileges()
    try filter.install()
}

private func syscallTwo(_ number: Int32, _ first: Int, _ second: Int) -> Int {
    swg_syscall(Int(number), first, second)
}
