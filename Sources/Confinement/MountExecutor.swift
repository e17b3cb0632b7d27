import CLinux
import Glibc
import LinuxSystem

/// A step of a mount plan that the kernel refused.
public struct MountError: Error, Hashable, Sendable, CustomStringConvertible {
    public let step: MountStep
    public let cause: SystemError

    public var description: String { "could not \(step): \(cause)" }
}

/// Carries a mount plan out. Runs in a child that is alone in its mount namespace; on an error the child
/// ends, and the namespace with everything mounted so far goes with it: there is nothing to undo.
public enum MountExecutor {
    public static func carryOut(_ plan: MountPlan) throws(MountError) {
        for step in plan.steps {
            do {
                try carryOut(step)
            } catch {
                throw MountError(step: step, cause: error)
            }
        }
    }

    static func carryOut(_ step: MountStep) throws(SystemError) {
        switch step {
        case .makePrivate:
            try mount(nil, "/", nil, UInt(MS_REC | MS_PRIVATE))
        case .cover(let cover):
            try self.cover(cover)
        case .maskFile(let path):
            try unlessMissing { () throws(SystemError) in try bind("/dev/null", path) }
        case .maskDirectory(let path):
            try unlessMissing { () throws(SystemError) in
                try mountTmpfs(path, mode: 0o555, owner: nil, readOnly: true)
            }
        case .emptyDirectory(let path, let mode, let owner):
            try unlessMissing { () throws(SystemError) in try mountTmpfs(path, mode: mode, owner: owner) }
        case .readOnly(let path, let recursive):
            try setReadOnly(path, true, recursive: recursive)
        case .detach(let path):
            try unlessMissing { () throws(SystemError) in try bind(path, path) }
        case .writable(let path):
            try unlessMissing { () throws(SystemError) in try setReadOnly(path, false, recursive: false) }
        case .newProc(let path):
            try mount("proc", path, "proc", UInt(MS_NOSUID | MS_NODEV | MS_NOEXEC))
        case .newSysfs(let path):
            do {
                try mount("sysfs", path, "sysfs", UInt(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC))
            } catch {
                // In a container whose /sys is partly covered the kernel gives no whole one to a user namespace.
                guard error.errno.rawValue == EPERM else { throw error }
                try mountTmpfs(path, mode: 0o555, owner: nil, readOnly: true)
            }
        case .newTerminals(let path):
            try mount(
                "devpts", path, "devpts", UInt(MS_NOSUID | MS_NOEXEC), "newinstance,ptmxmode=0666,mode=0620")
        }
    }

    private static func cover(_ cover: DirectoryCover) throws(SystemError) {
        // Through this descriptor the old directory stays reachable when the tmpfs lies over its name.
        let old = try FileDescriptor.open(cover.path, O_PATH | O_DIRECTORY)
        let oldPath = "/proc/self/fd/\(old.rawValue)"
        try mountTmpfs(cover.path, mode: cover.mode, owner: cover.owner)
        for directory in cover.directories {
            try makeDirectory("\(cover.path)/\(directory.name)", directory.mode, directory.owner)
        }
        for (name, content) in cover.files.sorted(by: { $0.key < $1.key }) {
            try createFile("\(cover.path)/\(name)", content)
        }
        for (name, target) in cover.links.sorted(by: { $0.key < $1.key }) {
            try systemCall("symlink", "\(cover.path)/\(name)") { symlink(target, "\(cover.path)/\(name)") }
        }
        for name in cover.shown {
            try unlessMissing { () throws(SystemError) in try show("\(oldPath)/\(name)", "\(cover.path)/\(name)") }
        }
        if cover.isReadOnly { try setReadOnly(cover.path, true, recursive: false) }
    }

    /// Shows one old entry at its new place: a link as a link, anything else by bind mount.
    private static func show(_ source: String, _ target: String) throws(SystemError) {
        var status = stat()
        try systemCall("lstat", target) { lstat(source, &status) }
        if status.st_mode & S_IFMT == S_IFLNK {
            let destination = try File.readLink(source)
            try systemCall("symlink", target) { symlink(destination, target) }
            return
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            try makeDirectory(target, 0o755, nil)
        } else {
            try createFile(target, "")
        }
        try bind(source, target)
    }

    private static func makeDirectory(
        _ path: String, _ mode: mode_t, _ owner: MountStep.Owner?
    ) throws(SystemError) {
        try File.makeDirectories(path, mode: 0o755)
        // Not by mkdir's mode: the umask would have its say.
        try systemCall("chmod", path) { chmod(path, mode) }
        if let owner { try systemCall("chown", path) { chown(path, owner.uid, owner.gid) } }
    }

    private static func createFile(_ path: String, _ content: String) throws(SystemError) {
        let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
        try systemCall("fchmod", path) { fchmod(file.rawValue, 0o644) }
        if !content.isEmpty { try file.writeAll(content, object: path) }
    }

    private static func mountTmpfs(
        _ path: String, mode: mode_t, owner: MountStep.Owner?, readOnly: Bool = false
    ) throws(SystemError) {
        var options = "mode=\(String(mode, radix: 8))"
        if let owner { options += ",uid=\(owner.uid),gid=\(owner.gid)" }
        try mount("tmpfs", path, "tmpfs", UInt(MS_NOSUID | MS_NODEV | (readOnly ? MS_RDONLY : 0)), options)
    }

    private static func bind(_ source: String, _ target: String) throws(SystemError) {
        // Recursive: in a user namespace a part of a tree of locked mounts may not be bound without the rest.
        try mount(source, target, nil, UInt(MS_BIND | MS_REC))
    }

    private static func mount(
        _ source: String?, _ target: String, _ type: String?, _ flags: UInt, _ options: String? = nil
    ) throws(SystemError) {
        try systemCall("mount", target) { Glibc.mount(source, target, type, flags, options) }
    }

    private static func setReadOnly(_ path: String, _ on: Bool, recursive: Bool) throws(SystemError) {
        let readOnlyAttribute: UInt64 = 1  // MOUNT_ATTR_RDONLY
        try systemCall("mount_setattr", path) {
            swg_mount_setattr(
                path, recursive ? UInt32(AT_RECURSIVE) : 0, on ? readOnlyAttribute : 0, on ? 0 : readOnlyAttribute, 0)
        }
    }

    private static func unlessMissing(_ body: () throws(SystemError) -> Void) throws(SystemError) {
        do {
            try body()
        } catch {
            switch error.errno.rawValue {
            case ENOENT, ENOTDIR, EACCES, ELOOP: return
            default: throw error
            }
        }
    }
}
