import CLinux
import Glibc
import LinuxSystem

/// Keeps the configuration's memfd in memory, since the keys in it must not reach a swap device (promise P3).
///
/// The monitor maps the file, locked and never read, and does it anew when the file has grown; so the pages stay
/// locked between the death of one worker and the start of the next. Only what holds data is mapped: a hole that
/// `ConfigurationJournal.rewrite` has punched would be filled by locking it. mlock(2), lseek(2) SEEK_DATA.
struct ConfigurationLock: ~Copyable {
    private static let pageBytes = 4096

    private var memory: UnsafeMutableRawPointer?
    private var byteCount = 0
    private var offset = 0
    private var hasWarned = false

    deinit { if let memory { munmap(memory, byteCount) } }

    /// Locks what `file` holds now.
    mutating func follow(_ file: borrowing FileDescriptor, _ log: EngineLog) {
        let number = file.rawValue
        let end = Int(lseek(number, 0, SEEK_END))
        let data = Int(lseek(number, off_t(Self.pageBytes), SEEK_DATA))
        let start = data > 0 ? data & ~(Self.pageBytes - 1) : end
        let size = (max(end - start, 0) + Self.pageBytes - 1) & ~(Self.pageBytes - 1)
        guard start != offset || size != byteCount else { return }
        guard size > 0 else { return unmap() }
        guard let fresh = mmap(nil, size, PROT_READ, MAP_SHARED, number, off_t(start)), fresh != MAP_FAILED else {
            return wasRefused(log)
        }
        let isLocked = mlock(fresh, size) == 0
        // Only now: in between the pages would be as free to be swapped out as any.
        unmap()
        memory = fresh
        byteCount = size
        offset = start
        if !isLocked { wasRefused(log) }
    }

    /// RLIMIT_MEMLOCK refused, here or in a worker: one warning for all of it, not a failure (promise P3).
    mutating func wasRefused(_ log: EngineLog) {
        if hasWarned { return }
        hasWarned = true
        log.warning(
            "RLIMIT_MEMLOCK refused to lock the memory of keys, they may be swapped out: "
                + "ulimit -l 8192, or LimitMEMLOCK= of the service")
    }

    private mutating func unmap() {
        if let memory { munmap(memory, byteCount) }
        memory = nil
        byteCount = 0
        offset = 0
    }
}
