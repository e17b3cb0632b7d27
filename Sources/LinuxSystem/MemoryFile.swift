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
}
