import CLinux
import Glibc

/// An exclusive flock(2) on a file that may be removed by its holder.
///
/// Whoever waited for the lock of a file that was removed meanwhile holds a lock on nothing: so the path is
/// looked at again after locking, and a stale lock starts over. The kernel releases it when the holder dies,
/// however it dies.
public struct FileLock: ~Copyable, Sendable {
    private let descriptor: FileDescriptor

    /// - Parameter wait: false returns nil at once when another process holds it.
    public static func acquire(_ path: String, wait: Bool) throws(SystemError) -> FileLock? {
        while true {
            let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW)
            guard let result = try lock(file, path, wait: wait) else { return nil }
            if result.isCurrent { return result.lock }
        }
    }

    /// As `acquire`, on an existing file or directory: nil when it is busy, ENOENT when it is gone.
    public static func acquireExisting(
        _ path: String, wait: Bool, followLinks: Bool = false
    ) throws(SystemError) -> FileLock? {
        while true {
            let file = try FileDescriptor.open(path, O_RDONLY | (followLinks ? 0 : O_NOFOLLOW))
            guard let result = try lock(file, path, wait: wait) else { return nil }
            if result.isCurrent { return result.lock }
        }
    }

    /// Runs `body` with a directory locked that is made when it is missing, and made again when somebody removed it
    /// meanwhile: whoever empties one removes it, under the same lock.
    ///
    /// - Parameter mode: of directories that are made here.
    public static func withDirectory<Value: ~Copyable>(
        _ directory: String, mode: mode_t, _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        var attempt = 1
        while true {
            try File.makeDirectories(directory, mode: mode)
            let lock: FileLock?
            do throws(SystemError) {
                // On the directory: a lock file would be one more thing to leave behind.
                lock = try acquireExisting(directory, wait: true, followLinks: true)
            } catch {
                // Not for ever, as there: a link that leads nowhere can be made as little as it can be opened.
                guard error.errno.rawValue == ENOENT, attempt < 100 else { throw error }
                attempt += 1
                continue
            }
            let value = try body()
            _ = consume lock
            return value
        }
    }

    private struct Attempt: ~Copyable {
        let lock: FileLock
        let isCurrent: Bool
    }

    private static func lock(
        _ file: consuming FileDescriptor, _ path: String, wait: Bool
    ) throws(SystemError) -> Attempt? {
        let number = file.rawValue
        let taken = try systemCallUnlessBlocked("flock", path) { flock(number, wait ? LOCK_EX : LOCK_EX | LOCK_NB) }
        guard taken != nil else { return nil }
        let mine = try file.identity()
        var status = stat()
        let isCurrent =
            stat(path, &status) == 0
            && mine == FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        return Attempt(lock: FileLock(descriptor: file), isCurrent: isCurrent)
    }
}
