import CLinux
import Glibc
import LinuxSystem

extension NetworkNamespace {
    /// The calling thread's own.
    public static func own() throws(NamespaceError) -> NetworkNamespace {
        try open(path: ownPath, allowOwn: true)
    }

    /// By path: /run/netns/NAME, /proc/PID/ns/net, /var/run/docker/netns/…
    ///
    /// For a path below /proc prefer `open(pid:)`: the number in it may be recycled.
    /// - Throws: one clear error per cause: absent, not a namespace, not a network namespace, our own.
    public static func open(path: String, allowOwn: Bool = false) throws(NamespaceError) -> NetworkNamespace {
        try open(path: path, named: false, allowOwn: allowOwn)
    }

    /// By the name that `ip netns` knows.
    public static func open(name: String, allowOwn: Bool = false) throws(NamespaceError) -> NetworkNamespace {
        try open(path: NamedNamespace.path(of: name), named: true, allowOwn: allowOwn)
    }

    /// The namespace a process is in. A pidfd holds the process while its namespace is opened, and is asked
    /// afterwards, so that a recycled number is an error and not somebody else's namespace.
    public static func open(pid: Int32, allowOwn: Bool = false) throws(NamespaceError) -> NetworkNamespace {
        guard pid > 0 else { throw .processGone(pid: pid) }
        let process: ProcessDescriptor
        do {
            process = try ProcessDescriptor.open(pid)
        } catch {
            if error.errno.rawValue == ESRCH || error.errno.rawValue == EINVAL { throw .processGone(pid: pid) }
            throw .system(error)
        }
        return try open(process, pid: pid, allowOwn: allowOwn)
    }

    /// As by pid, for a process that was noted earlier: refused when the number is another process now.
    public static func open(process: ProcessIdentity, allowOwn: Bool = false) throws(NamespaceError) -> NetworkNamespace
    {
        guard let descriptor = try NamespaceError.wrapping({ () throws(SystemError) in try process.open() })
        else { throw .processGone(pid: process.pid) }
        return try open(descriptor, pid: process.pid, allowOwn: allowOwn)
    }

    private static func open(path: String, named: Bool, allowOwn: Bool) throws(NamespaceError) -> NetworkNamespace {
        let file: FileDescriptor
        do {
            // O_PATH first: opening a device or a pipe that somebody put there would have effects.
            file = try FileDescriptor.open(path, O_PATH)
        } catch {
            switch error.errno.rawValue {
            case ENOENT, ENOTDIR, ESRCH: throw .notFound(path: path, named: named)
            default: throw .system(error)
            }
        }
        guard try isNamespaceFile(file.rawValue, path) else { throw .notANamespace(path: path) }
        let namespace: FileDescriptor
        do {
            namespace = try FileDescriptor.open("/proc/self/fd/\(file.rawValue)", O_RDONLY)
        } catch {
            throw .system(error)
        }
        return try NetworkNamespace(verifying: namespace, label: path, allowOwn: allowOwn)
    }

    private static func open(
        _ process: borrowing ProcessDescriptor, pid: Int32, allowOwn: Bool
    ) throws(NamespaceError) -> NetworkNamespace {
        let label = "the network namespace of process \(pid)"
        let number = process.descriptor.rawValue
        // The kernel's own answer where it has one (Linux 6.11); it cannot be about another process.
        let direct = swg_ioctl_value(number, pidfdGetNetNamespace, 0)
        if direct >= 0 {
            return try NetworkNamespace(verifying: FileDescriptor(owning: direct), label: label, allowOwn: allowOwn)
        }
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open("/proc/\(pid)/ns/net", O_RDONLY)
        } catch {
            if error.errno.rawValue == ENOENT || error.errno.rawValue == ESRCH {
                throw .processGone(pid: pid)
            }
            throw .system(error)
        }
        // While the pidfd's process exists its number was not given away: what was opened is its own.
        let lives = try NamespaceError.wrapping { () throws(SystemError) in try process.send(0) }
        guard lives else { throw .processGone(pid: pid) }
        return try NetworkNamespace(verifying: descriptor, label: label, allowOwn: allowOwn)
    }
}

/// PIDFD_GET_NET_NAMESPACE, _IO(0xFF, 4): newer than Debian 12's headers.
private let pidfdGetNetNamespace: UInt = 0xff04
