import CLinux
import Glibc

/// An anonymous file in memory, for handing bytes (a configuration with keys) to a child without a name.
public enum MemoryFile {
    /// memfd_create(2), closed on exec; spawn passes it on by number.
    public static func create(name: String, contents: [UInt8] = []) throws(SystemError) -> FileDescriptor {
        let file = FileDescriptor(
            owning: try systemCall("memfd_create", name) { memfd_create(name, UInt32(MFD_CLOEXEC | MFD_ALLOW_SEALING)) }
        )
        if !contents.isEmpty {
            try file.writeAll(contents, object: name)
            try systemCall("lseek", name) { lseek(file.rawValue, 0, SEEK_SET) }
        }
        return file
    }

    /// For what a child writes as long as it lives: nothing can be written beyond the limit (EPERM). The file has that
    /// size from the start, with zeros where nothing has been written, which take no memory. F_SEAL_GROW in fcntl(2).
    public static func bounded(name: String, limitBytes: Int) throws(SystemError) -> FileDescriptor {
        let file = try create(name: name)
        try systemCall("ftruncate", name) { ftruncate(file.rawValue, off_t(limitBytes)) }
        try systemCall("fcntl", "\(name): F_ADD_SEALS") {
            fcntl(file.rawValue, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK)
        }
        return file
    }
}
