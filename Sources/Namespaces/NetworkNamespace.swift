import CLinux
import Glibc
import LinuxSystem

/// A network namespace, held open and verified.
///
/// Names and process numbers are resolved once, here, into a descriptor; from then on only the descriptor is
/// used, so that neither a recycled pid nor a replaced file can redirect us (promise P5; the CNI plugins once
/// took the host's `lo` down after a pid had been reused).
///
/// Holding a value keeps the namespace alive: let it go before a process that lives on is left behind
/// (promise P2).
public struct NetworkNamespace: ~Copyable, Sendable {
    public let descriptor: FileDescriptor
    /// Device and inode of the nsfs file: the same for every way to open the same namespace.
    public let identity: FileIdentity
    /// How the user called it; for messages only.
    public let label: String

    /// Verifies an open descriptor: nsfs, type net, and not the calling thread's own unless that is allowed.
    ///
    /// Source: ioctl_ns(2), statfs(2).
    public init(
        verifying descriptor: consuming FileDescriptor, label: String, allowOwn: Bool = false
    ) throws(NamespaceError) {
        let number = descriptor.rawValue
        guard try Self.isNamespaceFile(number, label) else { throw .notANamespace(path: label) }
        let type = try NamespaceError.wrapping { () throws(SystemError) in
            try systemCall("NS_GET_NSTYPE", label) { swg_ioctl_value(number, swg_NS_GET_NSTYPE, 0) }
        }
        let identity = try NamespaceError.wrapping { () throws(SystemError) in try descriptor.identity() }
        guard type == CLONE_NEWNET else { throw .wrongType(path: label, type: Self.typeName(type)) }
        if !allowOwn, try identity == Self.ownIdentity() { throw .isOurOwn(path: label) }
        self.descriptor = descriptor
        self.identity = identity
        self.label = label
    }

    public borrowing func isSame(as other: borrowing NetworkNamespace) -> Bool { identity == other.identity }

    /// A second handle on the same namespace.
    public borrowing func duplicate() throws(SystemError) -> NetworkNamespace {
        NetworkNamespace(verified: try descriptor.duplicate(), identity: identity, label: label)
    }

    init(verified descriptor: consuming FileDescriptor, identity: FileIdentity, label: String) {
        self.descriptor = descriptor
        self.identity = identity
        self.label = label
    }

    /// Whether the descriptor is of nsfs, on which namespaces live. Works on O_PATH descriptors, too.
    static func isNamespaceFile(_ number: Int32, _ label: String) throws(NamespaceError) -> Bool {
        var filesystem = statfs()
        try NamespaceError.wrapping { () throws(SystemError) in
            try systemCall("fstatfs", label) { fstatfs(number, &filesystem) }
        }
        return filesystem.f_type == Int(swg_NSFS_MAGIC)
    }

    /// Device and inode of the calling thread's network namespace.
    static func ownIdentity() throws(NamespaceError) -> FileIdentity {
        try NamespaceError.wrapping { () throws(SystemError) in
            try FileDescriptor.open(ownPath, O_RDONLY).identity()
        }
    }

    /// Not /proc/self, which is the main thread's.
    static let ownPath = "/proc/thread-self/ns/net"

    private static func typeName(_ type: Int32) -> String {
        switch type {
        case CLONE_NEWUSER: "user"
        case CLONE_NEWNS: "mount"
        case CLONE_NEWPID: "pid"
        case CLONE_NEWUTS: "uts"
        case CLONE_NEWIPC: "ipc"
        case CLONE_NEWCGROUP: "cgroup"
        default: "time"
        }
    }
}

extension NetworkNamespace {
    /// The number that sockets report for their namespace (SO_NETNS_COOKIE): readable without privilege, never
    /// reused before the next boot. Linux 5.14.
    public borrowing func cookie() throws(SystemError) -> UInt64 {
        let socket = try openSocket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        return try Self.cookie(ofSocket: socket.rawValue)
    }

    /// The cookie of the namespace in which a socket was opened.
    public static func cookie(ofSocket number: Int32) throws(SystemError) -> UInt64 {
        var cookie: UInt64 = 0
        var length = socklen_t(MemoryLayout<UInt64>.size)
        try systemCall("getsockopt(SO_NETNS_COOKIE)", "descriptor \(number)") {
            getsockopt(number, SOL_SOCKET, swg_SO_NETNS_COOKIE, &cookie, &length)
        }
        return cookie
    }

    /// The user namespace that owns it: who has CAP_NET_ADMIN there may configure this one. NS_GET_USERNS;
    /// EPERM when it is not ours or below ours.
    public borrowing func ownerUserNamespace() throws(SystemError) -> FileDescriptor {
        let number = descriptor.rawValue
        return FileDescriptor(
            owning: try systemCall("NS_GET_USERNS", label) { swg_ioctl_value(number, swg_NS_GET_USERNS, 0) })
    }

    /// socket(2) inside the namespace, closed on exec. The socket stays there whoever uses it later.
    public borrowing func openSocket(
        _ family: Int32, _ type: Int32, _ protocolNumber: Int32
    ) throws(SystemError) -> FileDescriptor {
        // The birthplace is mostly where we are: no thread has to go there, which takes a tenth of a millisecond, and
        // much more on a busy machine.
        if (try? Self.ownIdentity()) == identity { return try Self.socketHere(family, type, protocolNumber) }
        return try withNamespace(self) { () throws(SystemError) in
            try Self.socketHere(family, type, protocolNumber)
        }
    }

    private static func socketHere(
        _ family: Int32, _ type: Int32, _ protocolNumber: Int32
    ) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try systemCall("socket") { socket(family, type | Int32(SOCK_CLOEXEC.rawValue), protocolNumber) })
    }
}
