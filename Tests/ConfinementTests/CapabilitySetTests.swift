import CLinux
import Confinement
import Glibc
import LinuxSystem
import Testing

@Suite struct CapabilitySetTests {
    @Test func `capabilities print by their names`() {
        #expect(CapabilitySet([.kill, .networkAdministration]).description == "cap_kill,cap_net_admin")
        #expect(CapabilitySet().description == "none")
        #expect(CapabilitySet.all.contains([.kill, .rawSockets, .systemAdministration]))
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `leak row 12: root without capabilities stays without them over exec`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try PrivilegeStages.limitCapabilities(bounding: [.rawSockets])
            try PrivilegeStages.becomeUser(uid: 0, gid: 0, groups: [0])
            try PrivilegeStages.dropCapabilities()
            try PrivilegeStages.refuseNewPrivileges()
            guard ThreadCapabilities.bounding == [.rawSockets] else { exit(1) }
            let sets = try ThreadCapabilities.current()
            guard sets.permitted.isEmpty, sets.effective.isEmpty, sets.inheritable.isEmpty else { exit(2) }
            let script = """
                grep -q '^CapEff:.0000000000000000$' /proc/self/status || exit 3
                grep -q '^CapPrm:.0000000000000000$' /proc/self/status || exit 4
                grep -q '^NoNewPrivs:.1$' /proc/self/status || exit 5
                """
            let arguments = CStringVector(["sh", "-c", script])
            execv("/bin/sh", arguments.pointer)
            exit(6)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `a worker keeps exactly what it asks for`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try PrivilegeStages.limitCapabilities(bounding: [])
            try PrivilegeStages.becomeUser(uid: 64123, gid: 64123, groups: [])
            try PrivilegeStages.dropCapabilities(keeping: [.bindPrivilegedPorts])
            let sets = try ThreadCapabilities.current()
            exit(sets.permitted == [.bindPrivilegedPorts] && getuid() == 64123 && swg_setresuid(0) != 0 ? 0 : 1)
        }
    }

    @Test func `P3: hidden memory is neither dumpable nor in a core file`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try PrivilegeStages.hideMemory()
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
            exit(swg_prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && limit.rlim_max == 0 ? 0 : 1)
        }
    }

    @Test func `leak row 1: inherited descriptors are closed but the listed ones`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            for number: Int32 in [10, 11, 12, 500] { dup2(0, number) }
            try PrivilegeStages.closeInheritedDescriptors(keeping: [11])
            let open = [10, 11, 12, 500].map { swg_fcntl($0, F_GETFD, 0) >= 0 }
            exit(open == [false, true, false, false] && swg_fcntl(2, F_GETFD, 0) >= 0 ? 0 : 1)
        }
    }
}
