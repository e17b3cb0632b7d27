import CLinux
import Glibc

extension FileDescriptor {
    /// open(2); always with O_CLOEXEC.
    public static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(SystemError) -> FileDescriptor
    {
        FileDescriptor(owning: try systemCall("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode) })
    }

    /// openat(2) below this directory; always with O_CLOEXEC. `name` is one component, never a path.
    public borrowing func open(
        _ name: String, _ flags: Int32, mode: mode_t = 0o600
    ) throws(SystemError) -> FileDescriptor {
        let directory = rawValue
        return FileDescriptor(
            owning: try systemCall("openat", name) { openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW, mode) })
    }

    /// Everything up to the end, as bytes; refuses more than `limit` with EFBIG.
    public borrowing func readAll(limitBytes limit: Int = 16 << 20, object: String = "file") throws(SystemError)
        -> [UInt8]
    {
        let number = rawValue
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        // The chunk passed through our hands may have been a key.
        defer { chunk.withUnsafeMutableBytes { if let base = $0.baseAddress { explicit_bzero(base, $0.count) } } }
        while true {
            let count = try systemCall("read", object) { Glibc.read(number, &chunk, chunk.count) }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else {
                throw SystemError(call: "read", object: object, errno: Errno(EFBIG), detail: "more than \(limit) bytes")
            }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Writes all bytes, however many calls it takes.
    public borrowing func writeAll(_ bytes: some Sequence<UInt8>, object: String = "file") throws(SystemError) {
        let number = rawValue
        let outcome = ContiguousArray(bytes).withUnsafeBytes { buffer in
            Result { () throws(SystemError) in try LinuxSystem.writeAll(buffer, to: number, object: object) }
        }
        try outcome.get()
    }

    /// The same straight from where they are: nothing is copied, so it is the one for keys.
    public borrowing func writeAll(_ bytes: UnsafeRawBufferPointer, object: String = "file") throws(SystemError) {
        try LinuxSystem.writeAll(bytes, to: rawValue, object: object)
    }

    public borrowing func writeAll(_ text: String, object: String = "file") throws(SystemError) {
        try writeAll(text.utf8, object: object)
    }
}

/// Writes all bytes to a descriptor of somebody else's, such as standard output, however many calls it takes.
public func writeAll(_ bytes: UnsafeRawBufferPointer, to number: Int32, object: String) throws(SystemError) {
    var rest = bytes
    while !rest.isEmpty {
        let piece = rest
        let count = try systemCall("write", object) { Glibc.write(number, piece.baseAddress, piece.count) }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
    }
}

/// Whole files by path, for what is small.
public enum File {
    public static func readBytes(_ path: String, limitBytes: Int = 16 << 20) throws(SystemError) -> [UInt8] {
        try FileDescriptor.open(path, O_RDONLY).readAll(limitBytes: limitBytes, object: path)
    }

    /// The file as text; bytes that are not UTF-8 become U+FFFD.
    public static func readText(_ path: String, limitBytes: Int = 16 << 20) throws(SystemError) -> String {
        String(decoding: try readBytes(path, limitBytes: limitBytes), as: UTF8.self)
    }

    /// Writes an existing file in place, as /proc and /sys want it.
    public static func write(_ text: String, to path: String) throws(SystemError) {
        try FileDescriptor.open(path, O_WRONLY).writeAll(text, object: path)
    }

    /// Replaces a file by rename: readers see the old or the new content, a crash leaves one of the two.
    public static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws(SystemError) {
        let temporary = "\(path).\(getpid()).tmp"
        do {
            let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
            try file.writeAll(bytes, object: temporary)
            try systemCall("fchmod", temporary) { fchmod(file.rawValue, mode) }
            try systemCall("fsync", temporary) { fsync(file.rawValue) }
            try systemCall("rename", path) { rename(temporary, path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    public static func replace(_ path: String, with text: String, mode: mode_t = 0o600) throws(SystemError) {
        try replace(path, with: Array(text.utf8), mode: mode)
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// unlink(2); a file that is gone already is success (`false`).
    @discardableResult
    public static func remove(_ path: String) throws(SystemError) -> Bool {
        do {
            try systemCall("unlink", path) { unlink(path) }
            return true
        } catch {
            if error.errno.rawValue == ENOENT || error.errno.rawValue == ENOTDIR { return false }
            throw error
        }
    }

    /// The target of a symbolic link. readlink(2).
    public static func readLink(_ path: String) throws(SystemError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try systemCall("readlink", path) { readlink(path, &buffer, buffer.count) }
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Names in a directory, sorted, without `.` and `..`.
    public static func list(_ path: String) throws(SystemError) -> [String] {
        try list(path) { _, _ in true }.filter { $0 != "." && $0 != ".." }.sorted()
    }

    /// Names of the symbolic links in a directory that say exactly `target`, such as descriptors in /proc/PID/fd.
    /// One that is gone while it is looked at says nothing.
    public static func links(to target: String, in path: String) throws(SystemError) -> [String] {
        let wanted = target.utf8.map { CChar(bitPattern: $0) }
        // One byte more shows a longer one.
        var said = [CChar](repeating: 0, count: wanted.count + 1)
        return try list(path) { directory, name in
            let count = readlinkat(directory, name, &said, said.count)
            return count == wanted.count && said.starts(with: wanted)
        }
    }

    /// Names as they come, `.` and `..` with them.
    private static func list(
        _ path: String, where isWanted: (_ directory: Int32, _ name: UnsafePointer<CChar>) -> Bool
    ) throws(SystemError) -> [String] {
        guard let directory = opendir(path) else {
            throw SystemError(call: "opendir", object: path, errno: .current)
        }
        defer { closedir(directory) }
        let number = dirfd(directory)
        var names: [String] = []
        while true {
            // The only way to tell the end from a failure, which would look like a shorter directory.
            Glibc.errno = 0
            guard let entry = readdir(directory) else {
                if Glibc.errno == 0 { return names }
                throw SystemError(call: "readdir", object: path, errno: .current)
            }
            withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    if isWanted(number, name) { names.append(String(cString: name)) }
                }
            }
        }
    }

    /// Creates a directory and its missing parents; existing ones are left as they are.
    ///
    /// Somebody who removes empty directories may take a parent away again in between; that is tried again, but not
    /// for ever: below a link that leads nowhere every try ends the same way.
    public static func makeDirectories(_ path: String, mode: mode_t = 0o700) throws(SystemError) {
        var error = Errno(0)
        for _ in 0..<100 {
            if mkdir(path, mode) == 0 || Glibc.errno == EEXIST { return }
            error = .current
            guard error.rawValue == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else { break }
            try makeDirectories(String(path[..<slash]), mode: mode)
        }
        throw SystemError(call: "mkdir", object: path, errno: error)
    }
}
