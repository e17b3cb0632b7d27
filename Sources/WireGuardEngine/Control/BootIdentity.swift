import Glibc
import LinuxSystem

/// Which boot of which machine this is, by the kernel's boot_id (random(4); checklist S8).
///
/// A process image that was saved and restored (CRIU) may find itself on another machine, with keys that the first
/// one goes on using. The file is opened before the worker gives up opening files; reading it again costs one system
/// call, and control does so only after it has slept for a while.
struct BootIdentity: ~Copyable {
    private let file: FileDescriptor
    private var known: [UInt8]
    private var lastLook = BootTime(nanoseconds: 0)
    private static let intervalNanoseconds: UInt64 = 1_000_000_000

    init(path: String = "/proc/sys/kernel/random/boot_id") throws(SystemError) {
        file = try FileDescriptor.open(path, O_RDONLY)
        known = BootIdentity.read(file.rawValue)
    }

    /// Whether it is another one than at the last look. A file that cannot be read any more says nothing.
    mutating func hasChanged(at now: BootTime) -> Bool {
        guard now.since(lastLook) >= BootIdentity.intervalNanoseconds else { return false }
        lastLook = now
        let present = BootIdentity.read(file.rawValue)
        if present.isEmpty || present == known { return false }
        known = present
        return true
    }

    private static func read(_ file: Int32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 36)
        let count = pread(file, &bytes, bytes.count, 0)
        return Array(bytes.prefix(max(0, count)))
    }
}
