import CSodium
import Glibc
import LinuxSystem

/// Memory for secrets: page-aligned, locked, left out of core dumps, empty in a forked child, in slots of
/// 32 bytes.
///
/// One slab for the whole process instead of one guarded allocation per key: at 10,000 peers those would
/// pass vm.max_map_count, and the rootless limit of locked memory is 8 MiB. Called from any thread; the lock
/// is held for a few instructions.
final class KeySlab: @unchecked Sendable {
    static let shared = KeySlab()

    static let slotBytes = 32
    /// Of every piece of memory but the first: most programs have a few keys, and locking takes a page's memory at once.
    private static let chunkBytes = 16 * LockedMemory.pageBytes

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var free: [UnsafeMutableRawPointer] = []
    private var nextChunkBytes = LockedMemory.pageBytes

    private init() {
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        startSodium()
    }

    /// A zeroed slot.
    func take() -> UnsafeMutableRawPointer {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if let slot = free.popLast() { return slot }
        let chunk = LockedMemory.map(byteCount: nextChunkBytes)
        for offset in stride(from: nextChunkBytes - KeySlab.slotBytes, to: 0, by: -KeySlab.slotBytes) {
            free.append(chunk + offset)
        }
        nextChunkBytes = KeySlab.chunkBytes
        return chunk
    }

    static func wipe(_ slot: UnsafeMutableRawPointer) { sodium_memzero(slot, slotBytes) }

    /// Wipes a slot and takes it back.
    func giveBack(_ slot: UnsafeMutableRawPointer) {
        KeySlab.wipe(slot)
        pthread_mutex_lock(mutex)
        free.append(slot)
        pthread_mutex_unlock(mutex)
    }
}
