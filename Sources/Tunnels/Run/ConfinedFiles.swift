import CLinux
import Confinement
import Glibc
import LinuxSystem

/// The file tree of a confined command, as a mount plan.
///
/// Theory of operation. Network namespaces do not confine what has a path: a UNIX socket leads to a process
/// outside that looks names up, opens connections or runs commands on request. So the directories where
/// services put their sockets are covered by empty ones, as whole directories: a mask over one socket would
/// vanish when the service restarts and makes its socket anew. /etc is covered as a whole for the same reason
/// (`DirectoryCover`). What remains of sockets elsewhere (a home directory, /tmp) is looked up at the start
/// and masked one by one: good enough for ordinary programs. Files in /tmp and in the home directory stay
/// visible, except under --strict, where /tmp, /dev and /proc are new as well.
///
/// Planned in the caller's namespaces, whose sockets count; carried out by the child in its own.
struct ConfinedFiles {
    var resolver: ResolverFiles
    var user: InvokingUser
    var isStrict: Bool
    /// The configuration and its key files; masked wherever they are.
    var secretFiles: [String]
    /// STATE, which holds UAPI sockets.
    var stateDirectory: String
    /// The caller's XDG_RUNTIME_DIR.
    var runtimeDirectory: String?
    var homeDirectory: String?

    /// What stays of /run: programs and media, no service's socket.
    private static let shownOfRun = [
        "current-system", "booted-system", "wrappers", "opengl-driver", "opengl-driver-32", "media",
    ]

    /// Directories of sockets outside /run: X11, session managers, terminal multiplexers, sssd, LXD, Incus.
    private static let socketDirectories = [
        "/tmp/.X11-unix", "/tmp/.ICE-unix", "/tmp/.XIM-unix", "/tmp/.font-unix", "/tmp/.Test-unix", "/tmp/screens",
        "/var/lib/sss/pipes", "/var/lib/lxd", "/var/lib/incus", "/var/snap/lxd/common/lxd", "/var/lib/gssproxy",
        "/var/spool/cron", "/var/spool/at",
    ]

    /// Where the command finds its own, empty XDG_RUNTIME_DIR.
    var commandRuntimeDirectory: String? { runtimeDirectory == nil && !user.isChange ? nil : "/run/user/\(user.uid)" }

    func plan() -> MountPlan {
        var plan: MountPlan = [.makePrivate]
        if isStrict { plan += .newProc("/proc") }
        plan += .cover(configurationDirectory())
        coverRun(&plan)
        let userSockets = ["/tmp/tmux-\(user.uid)", "/tmp/emacs\(user.uid)"]
        for path in Self.socketDirectories + userSockets where isDirectory(path) { plan += .maskDirectory(path) }
        for path in ListeningSockets.paths() where !isBelow(path, "/run") && !isBelow(path, "/var/run") {
            plan += .maskFile(path)
        }
        if !isBelow(stateDirectory, "/run") { plan += .maskDirectory(stateDirectory) }
        for path in secretFiles { plan += .maskFile(path) }
        if isStrict { strict(&plan) }
        return plan
    }

    /// /etc as it is, but for the resolver's files and WireGuard's configurations.
    private func configurationDirectory() -> DirectoryCover {
        let replaced: Set = ["resolv.conf", "nsswitch.conf", "wireguard", "netns"]
        let entries = (try? File.list("/etc")) ?? []
        return DirectoryCover(
            path: "/etc", shown: entries.filter { !replaced.contains($0) },
            directories: entries.contains("wireguard") ? [.init("wireguard", mode: 0o700)] : [],
            files: ["resolv.conf": resolver.resolvConf, "nsswitch.conf": resolver.nsswitchConf],
            // A program that wants to replace a file hears EROFS; on a writable cover its work would be lost.
            isReadOnly: true)
    }

    private func coverRun(_ plan: inout MountPlan) {
        let owner = MountStep.Owner(uid: user.uid, gid: user.gid)
        var run = DirectoryCover(path: "/run", shown: Self.shownOfRun.filter { File.exists("/run/\($0)") })
        run.directories = [.init("lock", mode: 0o1777), .init("user", mode: 0o755)]
        if commandRuntimeDirectory != nil {
            run.directories.append(.init("user/\(user.uid)", mode: 0o700, owner: owner))
        }
        plan += .cover(run)
        // Nearly everywhere a link to /run.
        if !isLink("/var/run") { plan += .emptyDirectory(path: "/var/run", mode: 0o755, owner: nil) }
        if let runtimeDirectory, !isBelow(runtimeDirectory, "/run"), isDirectory(runtimeDirectory) {
            plan += .emptyDirectory(path: runtimeDirectory, mode: 0o700, owner: owner)
        }
    }

    private func strict(_ plan: inout MountPlan) {
        for path in ["/tmp", "/var/tmp"] where isDirectory(path) {
            plan += .emptyDirectory(path: path, mode: 0o1777, owner: nil)
        }
        plan += .cover(
            DirectoryCover(
                path: "/dev", shown: ["null", "zero", "full", "random", "urandom", "tty"],
                directories: [.init("pts", mode: 0o755), .init("shm", mode: 0o1777)],
                links: [
                    "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
                    "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
                ]))
        plan += .newTerminals("/dev/pts")
        plan += .emptyDirectory(path: "/dev/shm", mode: 0o1777, owner: nil)
        plan += .newSysfs("/sys")
        // Root's own files there start programs outside: core_pattern, uevent_helper.
        for path in [
            "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi",
        ]
        where File.exists(path) {
            plan += .detach(path)
            plan += .readOnly(path: path, recursive: false)
        }
        if user.uid == 0 { protectFilesOfRoot(&plan) }
    }

    /// uid 0 owns every program that something outside will run next: without capabilities it could still
    /// write them. Only its home and the new directories stay writable.
    private func protectFilesOfRoot(_ plan: inout MountPlan) {
        var writable = ["/run", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/dev/pts", "/proc"].filter(isDirectory)
        if let home = homeDirectory, home != "/", isDirectory(home) {
            plan += .detach(home)
            writable.append(home)
        }
        plan += .readOnly(path: "/", recursive: true)
        for path in writable { plan += .writable(path) }
    }

    private func isBelow(_ path: String, _ directory: String) -> Bool {
        path == directory || path.hasPrefix(directory + "/")
    }

    private func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && swg_s_isdir(status.st_mode) != 0
    }

    private func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFLNK
    }
}
