import Glibc

/// What a confined command's file tree shall look like: a list of steps as data, so that it can be read,
/// printed and tested before anything is mounted. `MountExecutor` carries it out in a mount namespace of
/// its own.
public struct MountPlan: Hashable, Sendable, ExpressibleByArrayLiteral {
    public var steps: [MountStep]

    public init(_ steps: [MountStep] = []) { self.steps = steps }
    public init(arrayLiteral steps: MountStep...) { self.steps = steps }

    public static func += (plan: inout MountPlan, step: MountStep) { plan.steps.append(step) }
}

/// One step. Paths are absolute and free of symbolic links unless said otherwise.
public enum MountStep: Hashable, Sendable {
    /// Nothing is propagated into or out of this mount namespace any more. `mount --make-rprivate /`
    case makePrivate
    /// A directory's place is taken by a tmpfs of ours that shows some of what was there.
    case cover(DirectoryCover)
    /// A file becomes empty; connecting to a socket there is refused. `mount --bind /dev/null PATH`.
    /// A path that is not there, or that this process cannot reach, is masked already.
    case maskFile(String)
    /// A directory becomes empty and read-only. As above for missing ones.
    case maskDirectory(String)
    /// An empty tmpfs, without anything of what was below. `mount -t tmpfs`
    case emptyDirectory(path: String, mode: mode_t, owner: Owner?)
    /// This mount, or this and all below, becomes read-only. `mount -o remount,bind,ro`
    case readOnly(path: String, recursive: Bool)
    /// A directory becomes a mount of itself that stays writable when a later step makes its surroundings
    /// read-only. `mount --bind PATH PATH`
    case detach(String)
    /// Makes what was made read-only by an earlier step writable again, for one mount.
    case writable(String)
    /// The processes of this pid namespace only. `mount -t proc`
    case newProc(String)
    /// The network devices of this network namespace only. `mount -t sysfs`; where the kernel refuses it, an
    /// empty directory.
    case newSysfs(String)
    /// Terminals of its own. `mount -t devpts -o newinstance`
    case newTerminals(String)

    public struct Owner: Hashable, Sendable {
        public let uid: uid_t
        public let gid: gid_t

        public init(uid: uid_t, gid: gid_t) {
            self.uid = uid
            self.gid = gid
        }
    }
}

/// A tmpfs over a directory, filled once.
///
/// Why not a bind mount over the one file: when the host replaces `/etc/resolv.conf` by rename, as
/// resolvconf, NetworkManager and DHCP clients do, the kernel silently takes away the mount on the replaced
/// name in every other mount namespace, and the host's file shows through (leak row 8). A mount over the
/// directory stays. And why not overlayfs: its behaviour is undefined when the lower directory changes
/// underneath, which is the very case here, and kernels differ on it in user namespaces.
public struct DirectoryCover: Hashable, Sendable {
    public var path: String
    public var mode: mode_t
    public var owner: MountStep.Owner?
    /// Entries of the covered directory that are shown again, by bind mount (symbolic links are copied).
    /// Names may be paths below it; one that is gone in the meantime is left out.
    public var shown: [String]
    /// New directories, parents before children, each with mode and owner.
    public var directories: [Directory]
    /// New files: name and content, mode 0644.
    public var files: [String: String]
    /// New symbolic links: name and target.
    public var links: [String: String]
    /// No new names: a program that wants to replace a file is told so (EROFS) instead of losing its work.
    public var isReadOnly: Bool

    public struct Directory: Hashable, Sendable {
        public let name: String
        public let mode: mode_t
        public let owner: MountStep.Owner?

        public init(_ name: String, mode: mode_t, owner: MountStep.Owner? = nil) {
            self.name = name
            self.mode = mode
            self.owner = owner
        }
    }

    public init(
        path: String, mode: mode_t = 0o755, owner: MountStep.Owner? = nil, shown: [String] = [],
        directories: [Directory] = [], files: [String: String] = [:], links: [String: String] = [:],
        isReadOnly: Bool = false
    ) {
        self.path = path
        self.mode = mode
        self.owner = owner
        self.shown = shown
        self.directories = directories
        self.files = files
        self.links = links
        self.isReadOnly = isReadOnly
    }
}

extension MountStep: CustomStringConvertible {
    /// As a person would say it; used in errors and by `--dry-run`.
    public var description: String {
        switch self {
        case .makePrivate: "make every mount private"
        case .cover(let cover): "cover \(cover.path), showing \(cover.shown.count) of its entries"
        case .maskFile(let path): "mask the file \(path)"
        case .maskDirectory(let path): "mask the directory \(path)"
        case .emptyDirectory(let path, _, _): "put an empty directory over \(path)"
        case .readOnly(let path, let recursive): "make \(path) read-only\(recursive ? " with all below" : "")"
        case .detach(let path): "mount \(path) on itself"
        case .writable(let path): "make \(path) writable again"
        case .newProc(let path): "mount a new proc on \(path)"
        case .newSysfs(let path): "mount a new sysfs on \(path)"
        case .newTerminals(let path): "mount new terminals on \(path)"
        }
    }
}
