import Glibc
import LinuxSystem

/// Memory straight from the kernel, page-aligned and zero.
///
/// A page costs nothing until it is first touched, so the data path's buffers are mapped at the start and
/// exist from the first traffic on. mmap(2).
struct PageRegion: ~Copyable, @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let byteCount: Int

    init(byteCount: Int) throws(SystemError) {
        let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            throw SystemError(call: "mmap", object: "\(byteCount) bytes", errno: .current)
        }
        base = memory
        self.byteCount = byteCount
    }

    deinit { munmap(base, byteCount) }
}
