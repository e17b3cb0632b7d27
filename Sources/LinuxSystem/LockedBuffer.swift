import Glibc

/// Memory for bytes that may hold keys on their way to or from the kernel: `LockedMemory`, wiped at the end (promise P3).
public struct LockedBuffer: ~Copyable, @unchecked Sendable {
    public let bytes: UnsafeMutableRawBufferPointer

    /// Zeroed.
    public init(byteCount: Int) {
        let memory = LockedMemory.map(byteCount: LockedBuffer.mappedBytes(byteCount))
        bytes = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
    }

    private static func mappedBytes(_ byteCount: Int) -> Int {
        (max(byteCount, 1) + LockedMemory.pageBytes - 1) / LockedMemory.pageBytes * LockedMemory.pageBytes
    }

    /// The first bytes only, when no others were written.
    public borrowing func wipe(_ byteCount: Int) {
        if let base = bytes.baseAddress { explicit_bzero(base, min(max(byteCount, 0), bytes.count)) }
    }

    deinit {
        guard let base = bytes.baseAddress else { return }
        explicit_bzero(base, bytes.count)
        munmap(base, LockedBuffer.mappedBytes(bytes.count))
    }
}
