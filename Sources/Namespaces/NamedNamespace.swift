import CLinux
import Glibc
import LinuxSystem

/// Network namespaces with a name, as `ip netns` keeps them: a file in /run/netns on which the namespace is
/// mounted. ip-netns(8).
public enum NamedNamespace {
    public static let directory = "/run/netns"

    /// Checked, so that a name is never a path.
    public static func path(of name: String) throws(NamespaceError) -> String {
        guard (1...255).contains(name.utf8.count), name != ".", name != "..",
            !name.utf8.contains(where: { $0 == 0x2f || $0 == 0 })
        else { throw .invalidName(name) }
        return "\(directory)/\(name)"
    }

    /// `ip netns list`, the names only; files without a namespace on them are left out.
    public static func list() throws(NamespaceError) -> [String] {
        let names: [String]
        do {
            names = try File.list(directory)
        } catch {
            if error.errno.rawValue == ENOENT { return [] }
            throw .system(error)
        }
        return names.filter { name in
            guard let file = try? FileDescriptor.open("\(directory)/\(name)", O_PATH | O_NOFOLLOW) else { return false }
            return (try? NetworkNamespace.isNamespaceFile(file.rawValue, name)) == true
        }
    }

    /// `ip netns add NAME`: the name is taken with O_EXCL, and what is mounted is the namespace just made.
    ///
    /// A crash between the two steps leaves an empty file, which `delete` removes.
    public static func create(_ name: String) throws(NamespaceError) -> NetworkNamespace {
        let path = try path(of: name)
        let namespace = try NetworkNamespace.createAnonymous()
        do {
            try shareDirectory()
            _ = try FileDescriptor.open(path, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0)
        } catch {
            if error.errno.rawValue == EEXIST { throw .nameTaken(name) }
            throw .system(error)
        }
        do {
            let source = "/proc/self/fd/\(namespace.descriptor.rawValue)"
            try systemCall("mount", path) { mount(source, path, "none", UInt(MS_BIND), nil) }
        } catch {
            unlink(path)
            throw .system(error)
        }
        let identity = namespace.identity
        return NetworkNamespace(verified: namespace.consumeDescriptor(), identity: identity, label: path)
    }

    /// `ip netns delete NAME`. The namespace itself ends with its last process, socket or descriptor.
    ///
    /// - Parameter identity: delete only this one; another under the same name is left alone.
    /// - Returns: false when there was nothing; that is success (promise P4).
    @discardableResult
    public static func delete(_ name: String, onlyIf identity: FileIdentity? = nil) throws(NamespaceError) -> Bool {
        let path = try path(of: name)
        // Twice for a file that a second mount hides; never for ever.
        for _ in 0..<8 {
            guard let state = try inspect(path) else { return false }
            if let identity, let found = state.namespace, found != identity { throw .replaced(path: path) }
            guard state.namespace != nil || state.isEmptyFile else { throw .notANamespace(path: path) }
            if state.isEmptyFile {
                try NamespaceError.wrapping { () throws(SystemError) in try File.remove(path) }
                return true
            }
            try NamespaceError.wrapping { () throws(SystemError) in
                try systemCall("umount2", path) { umount2(path, Int32(MNT_DETACH) | Int32(UMOUNT_NOFOLLOW)) }
            }
        }
        throw .system(SystemError(call: "umount2", object: path, errno: Errno(EBUSY), detail: "mounted too often"))
    }

    private static func inspect(_ path: String) throws(NamespaceError) -> (namespace: FileIdentity?, isEmptyFile: Bool)?
    {
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(path, O_PATH | O_NOFOLLOW)
        } catch {
            if error.errno.rawValue == ENOENT { return nil }
            throw .system(error)
        }
        let number = file.rawValue
        if try NetworkNamespace.isNamespaceFile(number, path) {
            do {
                return (try file.identity(), false)
            } catch {
                throw .system(error)
            }
        }
        var status = stat()
        try NamespaceError.wrapping { () throws(SystemError) in
            try systemCall("fstat", path) { fstat(number, &status) }
        }
        return (nil, swg_s_isreg(status.st_mode) != 0 && status.st_size == 0)
    }

    /// Makes /run/netns a shared mount of its own, as `ip netns add` does: a name made or deleted here must
    /// appear and vanish in every other mount namespace, or it would keep the namespace alive there.
    private static func shareDirectory() throws(SystemError) {
        try File.makeDirectories(directory, mode: 0o755)
        let lock = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        try systemCall("flock", directory) { flock(lock.rawValue, LOCK_EX) }
        let propagation = UInt(MS_SHARED) | UInt(MS_REC)
        if mount("", directory, "none", propagation, nil) == 0 { return }
        guard errno == EINVAL else {
            throw SystemError(call: "mount --make-shared", object: directory, errno: .current)
        }
        // Not a mount point yet.
        try systemCall("mount --bind", directory) {
            mount(directory, directory, "none", UInt(MS_BIND) | UInt(MS_REC), nil)
        }
        try systemCall("mount --make-shared", directory) { mount("", directory, "none", propagation, nil) }
    }
}

extension NetworkNamespace {
    consuming func consumeDescriptor() -> FileDescriptor { descriptor }
}
