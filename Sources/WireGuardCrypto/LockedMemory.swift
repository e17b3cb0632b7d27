import Glibc

/// Page-aligned memory for secrets: locked where RLIMIT_MEMLOCK allows, left out of core dumps, empty in a
/// forked child (checklist N12).
enum LockedMemory {
    /// Zeroed. A refused lock is reported, not a failure (promise P3).
    static func map(byteCount: Int) -> (start: UnsafeMutableRawPointer, isLocked: Bool) {
        let protection = PROT_READ | PROT_WRITE
        guard let start = mmap(nil, byteCount, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED
        else { fatalError("no memory for keys") }
        let isLocked = mlock(start, byteCount) == 0
        madvise(start, byteCount, MADV_DONTDUMP)
        madvise(start, byteCount, MADV_WIPEONFORK)
        return (start, isLocked)
    }
}
