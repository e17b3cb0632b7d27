import LinuxSystem

/// Where a message stands while it is written or read: one that may carry keys in memory that is locked and wiped
/// (promise P3), any other in ordinary memory, because to map and lock some for each costs more than the question.
struct MessageMemory: ~Copyable {
    let bytes: UnsafeMutableRawBufferPointer
    /// Nil for ordinary memory.
    private let locked: LockedBuffer?

    init(byteCount: Int, carriesKeys: Bool) {
        if carriesKeys {
            let buffer = LockedBuffer(byteCount: byteCount)
            bytes = buffer.bytes
            locked = consume buffer
        } else {
            bytes = .allocate(byteCount: byteCount, alignment: MemoryLayout<UInt64>.alignment)
            locked = nil
        }
    }

    deinit {
        if locked == nil { bytes.deallocate() }
    }

    /// Nothing of the first bytes may be read again.
    borrowing func wipe(_ byteCount: Int) { locked?.wipe(byteCount) }
}
