import Glibc
import Synchronization

/// Page-aligned memory for secrets: locked where RLIMIT_MEMLOCK allows, left out of core dumps, empty in a
/// forked child (checklist N12).
public enum LockedMemory {
    public static let pageBytes = 4096

    fileprivate static let isRefused = Atomic<Bool>(false)

    /// Zeroed; a multiple of `pageBytes`. A refused lock is noted in `keyMemoryIsLocked`, not a failure (promise P3).
    public static func map(byteCount: Int) -> UnsafeMutableRawPointer {
        let protection = PROT_READ | PROT_WRITE
        guard let start = mmap(nil, byteCount, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED
        else { fatalError("no memory for keys") }
        if mlock(start, byteCount) != 0 { isRefused.store(true, ordering: .relaxed) }
        madvise(start, byteCount, MADV_DONTDUMP)
        madvise(start, byteCount, MADV_WIPEONFORK)
        return start
    }
}

/// Whether all memory for secrets that this process has mapped so far is locked; false after RLIMIT_MEMLOCK refused
/// some, which deserves one warning (promise P3).
public var keyMemoryIsLocked: Bool { !LockedMemory.isRefused.load(ordering: .relaxed) }
