import Glibc

/// Memory for bytes that may hold keys on their way to or from the kernel: page-aligned, locked as far as
/// RLIMIT_MEMLOCK allows, left out of core dumps, empty in a forked child, wiped at the end (promise P3).
public struct LockedBuffer: ~Copyable, @unchecked Sendable {
    public let bytes: UnsafeMutableRawBufferPointer

    /// Zeroed.
    public init(byteCount: Int) {
        let size = (max(byteCount, 1) + 4095) & ~4095
        guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            memory != MAP_FAILED
        else { fatalError("no memory for \(byteCount) bytes") }
        _ = mlock(memory, size)
        madvise(memory, size, MADV_DONTDUMP)
        madvise(memory, size, MADV_WIPEONFORK)
        bytes = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
    }

    public borrowing func wipe() {
        if let base = bytes.baseAddress { explicit_bzero(base, bytes.count) }
    }

    deinit {
        guard let base = bytes.baseAddress else { return }
        explicit_bzero(base, bytes.count)
        munmap(base, (max(bytes.count, 1) + 4095) & ~4095)
    }
}
