import CLinux
import Glibc
import LinuxSystem

/// Which process lives in which network namespace, by one walk through /proc: for whoever asks about many.
///
/// True for the moment of the walk only: enough to show something, not to take something down.
public struct NamespaceCensus: Sendable {
    /// Ascending.
    private let pids: [FileIdentity: [Int32]]
    private let hiddenCount: Int

    /// Threads that left their process's namespace are not looked for.
    public static func take() throws(SystemError) -> NamespaceCensus {
        var pids: [FileIdentity: [Int32]] = [:]
        var hidden = 0
        for name in try File.list("/proc") {
            guard let pid = Int32(name) else { continue }
            var status = stat()
            if stat("/proc/\(pid)/ns/net", &status) != 0 {
                // A process that ended meanwhile, or a zombie, is nowhere.
                if errno == EACCES || errno == EPERM { hidden += 1 }
                continue
            }
            let identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
            pids[identity, default: []].append(pid)
        }
        return NamespaceCensus(pids: pids.mapValues { $0.sorted() }, hiddenCount: hidden)
    }

    /// Who lived in one of them.
    public func inside(_ identity: FileIdentity) -> NamespaceProcesses {
        NamespaceProcesses(pids: pids[identity] ?? [], hiddenCount: hiddenCount)
    }
}
