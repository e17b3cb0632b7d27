import Glibc
import LinuxSystem
import Namespaces

/// A network namespace in a state file: how to find it again, and how to be sure that it is the same one.
///
/// The inode of a namespace is given to another one soon after it ends; the cookie is never reused before the
/// next boot. So both have to agree before anything is done in it (promise P5).
struct NamespaceReference: Codable, Hashable, Sendable {
    /// A file that led to it: `/run/netns/NAME`, what a runtime gave, `/proc/PID/ns/net`.
    var path: String?
    /// The name below /run/netns.
    var name: String?
    /// A process that lived in it, when it was named by one.
    var process: RecordedProcess?
    var device: UInt64
    var inode: UInt64
    /// Nil where the kernel has no SO_NETNS_COOKIE (before 5.14).
    var cookie: UInt64?

    var identity: FileIdentity { FileIdentity(device: device, inode: inode) }

    /// - Parameter socket: one that was opened in it and knows the cookie; without it another is opened there.
    init(
        _ namespace: borrowing NetworkNamespace, path: String? = nil, name: String? = nil,
        process: ProcessIdentity? = nil, socket: Int32? = nil
    ) {
        self.path = path
        self.name = name
        self.process = process.map(RecordedProcess.init)
        device = namespace.identity.device
        inode = namespace.identity.inode
        if let socket {
            cookie = try? NetworkNamespace.cookie(ofSocket: socket)
        } else {
            cookie = try? namespace.cookie()
        }
    }

    /// Opens exactly this namespace, by its file, by its process, or by any process that is in it; nil when it
    /// is gone.
    ///
    /// - Parameter census: where its processes are looked up if it has no file any more; one for many references.
    /// - Throws: when it cannot be known, for want of a descriptor or a thread for instance: a namespace that is
    ///   taken for gone costs a live tunnel its life.
    func open(_ census: SharedCensus = SharedCensus()) throws(TunnelError) -> NetworkNamespace? {
        do throws(NamespaceError) {
            if let path,
                let found = try unlessGone({ () throws(NamespaceError) in
                    try NetworkNamespace.open(path: path, allowOwn: true)
                }), try isSame(found)
            {
                return found
            }
        } catch {
            throw TunnelError(.system, "looking for a network namespace: \(error)")
        }
        if let process, let found = try? NetworkNamespace.open(process: process.identity, allowOwn: true),
            matches(found)
        {
            return found
        }
        // Its file is gone or somebody else's: it may live on in its processes.
        let inhabitants: NamespaceProcesses
        do {
            inhabitants = try census.taken().inside(identity)
        } catch {
            throw TunnelError(error, doing: "looking for processes in a network namespace")
        }
        for pid in inhabitants.pids {
            if let found = try? NetworkNamespace.open(pid: pid, allowOwn: true), matches(found) { return found }
        }
        return nil
    }

    /// False also when it cannot be known.
    func matches(_ namespace: borrowing NetworkNamespace) -> Bool { (try? isSame(namespace)) ?? false }

    private func isSame(_ namespace: borrowing NetworkNamespace) throws(NamespaceError) -> Bool {
        guard namespace.identity == identity else { return false }
        guard let cookie else { return true }
        do throws(SystemError) {
            return try namespace.cookie() == cookie
        } catch {
            throw .system(error)
        }
    }

    /// Whether a socket was opened in it, as far as its cookie tells.
    func isCookie(ofSocket socket: Int32) -> Bool {
        guard let cookie else { return true }
        return (try? NetworkNamespace.cookie(ofSocket: socket)) == cookie
    }

    /// Nil for every way in which a file can lead to this namespace no more.
    private func unlessGone(
        _ open: () throws(NamespaceError) -> NetworkNamespace
    ) throws(NamespaceError) -> NetworkNamespace? {
        do throws(NamespaceError) {
            return try open()
        } catch {
            switch error {
            case .system(let refusal):
                switch refusal.errno.rawValue {
                // Resources, which say nothing about the namespace. A file that may not be opened is another's by now.
                case EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR: throw error
                default: return nil
                }
            default: return nil
            }
        }
    }
}

/// A census that is taken when it is asked for first.
final class SharedCensus {
    private var census: NamespaceCensus?

    func taken() throws(SystemError) -> NamespaceCensus {
        if let census { return census }
        let taken = try NamespaceCensus.take()
        census = taken
        return taken
    }
}

extension NamespaceReference: CustomStringConvertible {
    var description: String {
        if let name { return name }
        if let process { return "process \(process.pid)" }
        return path ?? "net:[\(inode)]"
    }
}

/// A process in a state file.
struct RecordedProcess: Codable, Hashable, Sendable {
    var pid: Int32
    var startTicks: UInt64
    var bootID: String

    init(_ identity: ProcessIdentity) {
        pid = identity.pid
        startTicks = identity.startTicks
        bootID = identity.bootID
    }

    var identity: ProcessIdentity { ProcessIdentity(pid: pid, startTicks: startTicks, bootID: bootID) }
}
