import CLinux
import Confinement
import Glibc
import LinuxSystem
import Namespaces
import Netlink

/// What was seen of this machine: everything that `Doctor` judges, so that the judgement can be tested on machines
/// that are not at hand. `observe` looks, and changes nothing.
struct Machine: Sendable {
    enum Engines: Sendable {
        case inScopes
        case inControlGroups
        case whereTheyAre
    }

    /// uname(2), such as `6.1.0-35-amd64`.
    var kernelRelease = ""
    var isRoot = false
    /// Names of the capabilities that attach needs and this process has not.
    var lackingCapabilities: [String] = []
    /// The kernel answers for the netlink family `wireguard`.
    var hasWireGuard = false
    /// It does not, but the driver lies ready for this kernel: modprobe would do.
    var hasWireGuardModule = false
    /// Nil when /dev/net/tun can be opened.
    var tunRefusal: SystemError?
    /// Permission bits of /dev/net/tun.
    var tunMode: mode_t = 0o666
    /// Where the engine is, or why it is not.
    var engine: Result<String, TunnelError> = .success("")
    /// What it answers to --version; nil when it does not run.
    var engineVersion: String?
    /// Nil when an ordinary user may make user namespaces that are worth something.
    var userNamespaceRefusal: SystemError?
    /// RLIMIT_MEMLOCK in bytes; nil without a limit.
    var lockedMemoryBytes: UInt64?
    var stateDirectory = ""
    var stateRefusal: SystemError?
    var engines = Engines.inScopes
    /// Of podman, docker and ctr, those that are installed.
    var containerRuntimes: [String] = []
    /// The content of a file of /proc/sys.
    var readSetting: @Sendable (String) -> String? = { try? File.readText($0) }

    static func observe(_ keeper: TunnelKeeper) -> Machine {
        var machine = Machine()
        machine.kernelRelease = release()
        machine.isRoot = geteuid() == 0
        let effective = (try? ThreadCapabilities.current())?.effective ?? []
        let needed: [(CapabilitySet, String)] = [
            (.networkAdministration, "CAP_NET_ADMIN"), (.systemAdministration, "CAP_SYS_ADMIN"),
        ]
        machine.lackingCapabilities = needed.filter { !effective.contains($0.0) }.map(\.1)
        machine.hasWireGuard = WireGuardNetlink.isAvailable()
        machine.hasWireGuardModule = hasModule("wireguard", release: machine.kernelRelease)
        machine.observeTun()
        machine.observeEngine(keeper)
        machine.userNamespaceRefusal = refusal { () throws(SystemError) in
            try UserNamespaceProbe.run(as: machine.isRoot ? ordinaryUser() : nil)
        }
        var limit = rlimit()
        getrlimit(__RLIMIT_MEMLOCK, &limit)
        machine.lockedMemoryBytes = limit.rlim_cur == rlim_t.max ? nil : UInt64(limit.rlim_cur)
        machine.observeState(keeper.stateDirectory)
        machine.engines = placement()
        let searched = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"]
        machine.containerRuntimes = ["podman", "docker", "ctr"].filter { name in
            searched.contains { access("\($0)/\(name)", X_OK) == 0 }
        }
        return machine
    }

    /// Whether modules.dep of a kernel names it, at any place and with any compression. modules.dep(5)
    ///
    /// - Parameter root: in front of /lib/modules; replaced in tests.
    static func hasModule(_ name: String, release: String, root: String = "") -> Bool {
        guard let text = try? File.readText("\(root)/lib/modules/\(release)/modules.dep") else { return false }
        return text.split(separator: "\n").contains { line in
            let path = line.prefix { $0 != ":" }
            return path.split(separator: "/").last?.hasPrefix("\(name).ko") == true
        }
    }

    /// Whom root asks for: who is behind sudo, else `nobody`.
    private static func ordinaryUser() -> uid_t {
        let invoking = (try? InvokingUser.find(asked: nil))?.uid ?? 0
        return invoking == 0 ? 65534 : invoking
    }

    private static func refusal(_ attempt: () throws(SystemError) -> Void) -> SystemError? {
        do throws(SystemError) {
            try attempt()
            return nil
        } catch {
            return error
        }
    }

    private static func release() -> String {
        var names = utsname()
        guard uname(&names) == 0 else { return "" }
        return withUnsafeBytes(of: names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private mutating func observeTun() {
        tunRefusal = Machine.refusal { () throws(SystemError) in
            _ = try FileDescriptor.open(TunDevice.path, O_RDWR)
        }
        var status = stat()
        if stat(TunDevice.path, &status) == 0 { tunMode = status.st_mode & 0o777 }
    }

    private mutating func observeEngine(_ keeper: TunnelKeeper) {
        do throws(TunnelError) {
            let path = try EngineLocator.find(mayUseEnvironment: keeper.mayUseEnvironment)
            engine = .success(path)
            engineVersion = EngineLocator.askVersion(path)
        } catch {
            engine = .failure(error)
        }
    }

    private mutating func observeState(_ path: String) {
        stateDirectory = path
        stateRefusal = Machine.refusal { () throws(SystemError) in
            try File.makeDirectories(path)
            let probe = "\(path)/.doctor-\(getpid())"
            // A full disk shows with the first byte, not with the name.
            try File.replace(probe, with: "\n")
            try File.remove(probe)
        }
        // Only if it is empty: a directory with tunnels stays.
        rmdir(path)
    }

    private static func placement() -> Engines {
        if SystemdScope.isBooted { return .inScopes }
        let mounts = (try? File.readText("/proc/self/mountinfo")) ?? ""
        let places = ControlGroup.mountPoints(mountInformation: mounts).values
        return places.contains { access($0, W_OK) == 0 } ? .inControlGroups : .whereTheyAre
    }
}
