import CLinux
import Glibc
import LinuxSystem

/// Who lives in a network namespace.
public struct NamespaceProcesses: Equatable, Sendable {
    /// In ascending order.
    public let pids: [Int32]
    /// Processes whose namespace we may not see. While this is not zero, an empty list proves nothing.
    public let hiddenCount: Int

    /// Reads /proc once. Threads that left their process's namespace are not looked for.
    public static func inside(_ identity: FileIdentity) throws(SystemError) -> NamespaceProcesses {
        var pids: [Int32] = []
        var hidden = 0
        for name in try File.list("/proc") {
            guard let pid = Int32(name) else { continue }
            var status = stat()
            if stat("/proc/\(pid)/ns/net", &status) != 0 {
                // A process that ended meanwhile, or a zombie, is nowhere.
                if errno == EACCES || errno == EPERM { hidden += 1 }
                continue
            }
            if FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) == identity {
                pids.append(pid)
            }
        }
        return NamespaceProcesses(pids: pids.sorted(), hiddenCount: hidden)
    }
}
