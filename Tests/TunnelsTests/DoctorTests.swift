import Glibc
import LinuxSystem
import Testing

@testable import Tunnels

/// Doctor's judgement on machines that are not at hand.
@Suite struct DoctorTests {
    /// An ordinary Debian 12, root.
    private static func machine(_ change: (inout Machine) -> Void = { _ in }) -> Machine {
        var machine = Machine()
        machine.kernelRelease = "6.1.0-35-amd64"
        machine.isRoot = true
        machine.hasWireGuard = true
        machine.engine = .success("/usr/local/bin/swg-engine")
        machine.engineVersion = "1.0.0"
        machine.lockedMemoryBytes = 8 << 20
        machine.stateDirectory = "/run/swg-ns"
        machine.containerRuntimes = ["podman"]
        machine.readSetting = { _ in nil }
        change(&machine)
        return machine
    }

    private static func finding(_ subject: String, _ change: (inout Machine) -> Void) throws -> DoctorFinding {
        try #require(Doctor(machine: machine(change)).findings.first { $0.subject == subject })
    }

    private static func conclusion(_ change: (inout Machine) -> Void) throws -> DoctorFinding {
        try finding(DoctorFinding.conclusion, change)
    }

    @Test func `a machine that has everything gets no cure`() {
        for finding in Doctor(machine: Self.machine()).findings {
            #expect(finding.verdict == .good && finding.cure == nil, "\(finding)")
        }
    }

    @Test func `what limits or is missing has a cure that can be typed or done`() throws {
        let refused = SystemError(call: "open", object: "/dev/net/tun", errno: Errno(ENOENT))
        let changes: [(String, String, (inout Machine) -> Void)] = [
            ("kernel", "newer kernel", { $0.kernelRelease = "5.4.0-150-generic" }),
            ("privileges", "sudo swg-ns", { ($0.isRoot, $0.lackingCapabilities) = (false, ["CAP_NET_ADMIN"]) }),
            ("privileges", "--cap-add SYS_ADMIN", { $0.lackingCapabilities = ["CAP_SYS_ADMIN"] }),
            ("kernel's WireGuard", "modprobe wireguard", { ($0.hasWireGuard, $0.hasWireGuardModule) = (false, true) }),
            ("TUN device", "modprobe tun", { $0.tunRefusal = refused }),
            ("TUN device", "chmod 0666 /dev/net/tun", { $0.tunMode = 0o600 }),
            ("engine", "install it again", { $0.engineVersion = nil }),
            ("locked memory", "ulimit -l", { $0.lockedMemoryBytes = 65536 }),
            ("engines of containers", "mount cgroup2", { $0.engines = .whereTheyAre }),
            ("state directory", "--state-dir", { $0.stateRefusal = refused }),
        ]
        for (subject, cure, change) in changes {
            let finding = try Self.finding(subject, change)
            #expect(finding.verdict != .good)
            #expect(finding.cure?.contains(cure) == true, "\(finding)")
        }
    }

    @Test(arguments: [(EACCES, "chmod 0666"), (EPERM, "container"), (ENODEV, "modprobe tun")])
    func `P6: the cure for the TUN device follows from the kernel's answer`(errno: Int32, cure: String) throws {
        let finding = try Self.finding("TUN device") {
            $0.tunRefusal = SystemError(call: "open", object: "/dev/net/tun", errno: Errno(errno))
        }
        #expect(finding.verdict == .missing && finding.cure?.contains(cure) == true)
        #expect(finding.finding.contains("/dev/net/tun"))
    }

    @Test func `Ubuntu's AppArmor rule is found below a root of files, and named with its cure`() throws {
        let root = "/tmp/swg-doctor-\(getpid())"
        defer { _ = system("rm -rf \(root)") }
        try File.makeDirectories("\(root)/proc/sys/kernel")
        try File.replace("\(root)/proc/sys/kernel/apparmor_restrict_unprivileged_userns", with: "1\n")
        let finding = try Self.finding("user namespaces") {
            $0.userNamespaceRefusal = SystemError(call: "unshare", object: "network namespace", errno: Errno(EPERM))
            $0.readSetting = { try? File.readText(root + $0) }
        }
        #expect(finding.verdict == .limited)
        #expect(finding.finding.contains("EPERM") && finding.finding.contains("AppArmor"))
        let cure = try #require(finding.cure)
        #expect(cure.contains("/etc/apparmor.d/swg-ns") && cure.contains("userns,"))
        #expect(cure.contains("kernel.apparmor_restrict_unprivileged_userns=0"))
    }

    @Test func `the driver's module is found whatever its compression, and nothing like it is`() throws {
        let root = "/tmp/swg-modules-\(getpid())"
        defer { _ = system("rm -rf \(root)") }
        try File.makeDirectories("\(root)/lib/modules/6.1.0")
        let list = "\(root)/lib/modules/6.1.0/modules.dep"
        for (line, wanted) in [
            ("kernel/drivers/net/wireguard/wireguard.ko: kernel/lib/libcurve25519.ko\n", true),
            ("kernel/drivers/net/tun.ko.xz:\nextra/wireguard.ko.zst:\n", true),
            ("kernel/drivers/net/tun.ko: kernel/drivers/net/wireguard/wireguard.ko\n", false), ("", false),
        ] {
            try File.replace(list, with: line)
            #expect(Machine.hasModule("wireguard", release: "6.1.0", root: root) == wanted, "\(line)")
        }
        #expect(!Machine.hasModule("wireguard", release: "6.2.0", root: root))
    }

    @Test func `the conclusion is good as long as one way is left, and says which`() throws {
        let noTun = SystemError(call: "open", object: "/dev/net/tun", errno: Errno(ENOENT))
        #expect(try Self.conclusion { $0.tunRefusal = noTun }.finding == "the kernel's driver")
        #expect(try Self.conclusion { $0.hasWireGuard = false }.finding == "the engine")
        let neither = try Self.conclusion { ($0.hasWireGuard, $0.tunRefusal) = (false, noTun) }
        #expect(neither.verdict == .missing && neither.finding.contains("the TUN device"))
        // Without root there is no driver to fall back on.
        let rootless = try Self.conclusion {
            ($0.isRoot, $0.lackingCapabilities, $0.tunRefusal) = (false, ["CAP_NET_ADMIN"], noTun)
        }
        #expect(rootless.verdict == .missing)
        let confined = try Self.conclusion {
            ($0.isRoot, $0.lackingCapabilities) = (false, ["CAP_NET_ADMIN"])
            $0.userNamespaceRefusal = SystemError(call: "unshare", errno: Errno(EPERM))
        }
        #expect(confined.verdict == .missing && confined.finding.contains("user namespaces"))
        #expect(try Self.conclusion { $0.kernelRelease = "4.19.0" }.verdict == .missing)
        for release in ["5.12.0", "6.18.44-fc", "10.0", "", "strange"] {
            #expect(try Self.conclusion { $0.kernelRelease = release }.verdict == .good)
        }
    }
}
