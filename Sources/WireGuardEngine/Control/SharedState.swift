import Glibc
import LinuxSystem
import Synchronization

/// The memory that a worker leaves to the next one: a page of facts about the device, then a row per peer.
///
/// A sparse memfd that the monitor keeps and each worker maps in turn. No key is ever in it. What stands in it
/// was written by a process that may have been taken over, so a reader believes nothing that it cannot check.
struct SharedState: ~Copyable, @unchecked Sendable {
    static let headerBytes = 4096

    private let memory: UnsafeMutableRawBufferPointer

    /// Words of the first page.
    struct Facts: ~Copyable {
        /// Authenticated packets since the beginning: a worker that got one has proved that it works.
        let authenticated = Atomic<UInt64>(0)
        /// The port that the sockets are bound to.
        let port = Atomic<UInt64>(0)
    }

    /// Maps `descriptor`, which has at least `byteCount` bytes.
    init(_ descriptor: Int32, byteCount: Int) throws(SystemError) {
        let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0)
        guard let memory, memory != MAP_FAILED else {
            throw SystemError(call: "mmap", object: "shared state", errno: .current)
        }
        self.memory = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
    }

    deinit { munmap(memory.baseAddress, memory.count) }

    static func create(byteCount: Int) throws(SystemError) -> FileDescriptor {
        let file = try MemoryFile.create(name: "swg-state")
        let number = file.rawValue
        try systemCall("ftruncate", "shared state") { ftruncate(number, byteCount) }
        return file
    }

    /// Valid as long as this value lives. Zeroed memory is a valid set of facts.
    var facts: UnsafeMutablePointer<Facts> {
        guard let base = memory.baseAddress else { preconditionFailure("mapped memory has an address") }
        return base.assumingMemoryBound(to: Facts.self)
    }

    var rows: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[SharedState.headerBytes...])
    }
}
