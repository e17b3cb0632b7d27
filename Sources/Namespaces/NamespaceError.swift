import Glibc
import LinuxSystem

/// Why a network namespace cannot be used: one case per cause, each with its cure (promises P5 and P6).
public enum NamespaceError: Error, Hashable, Sendable {
    /// Nothing is there. `named` when it was asked for by name below /run/netns.
    case notFound(path: String, named: Bool)
    /// There is a file, but it is no namespace.
    case notANamespace(path: String)
    /// A namespace of another type, such as `mnt` or `user`.
    case wrongType(path: String, type: String)
    /// The namespace this process is in: a tunnel there would take over the host.
    case isOurOwn(path: String)
    /// The process has ended, or its number belongs to another one by now.
    case processGone(pid: Int32)
    /// Not a name that /run/netns can hold.
    case invalidName(String)
    case nameTaken(String)
    /// The named namespace is not the one that was asked for; somebody made a new one under the same name.
    case replaced(path: String)
    /// Any other refusal of the kernel.
    case system(SystemError)
}

extension NamespaceError {
    /// The value of `body`; the kernel's refusal as `.system`.
    @discardableResult
    static func wrapping<Value: ~Copyable>(
        _ body: () throws(SystemError) -> Value
    ) throws(NamespaceError) -> Value {
        do {
            return try body()
        } catch {
            throw .system(error)
        }
    }
}

extension NamespaceError: CustomStringConvertible {
    /// Paths and names come from runtimes and other users: the terminal obeys none of them.
    public var description: String { printable(words, limit: .max) }

    private var words: String {
        switch self {
        case .notFound(let path, named: true):
            "no network namespace at \(path): make it with --create or `ip netns add`, or see `ip netns list`"
        case .notFound(let path, named: false):
            "no network namespace at \(path): the container has ended, or the path is of another mount namespace"
        case .notANamespace(let path):
            "\(path) is not a namespace but an ordinary file: "
                + (path.hasPrefix(NamedNamespace.directory + "/")
                    ? "a leftover without its mount, remove it with `ip netns delete`"
                    : "give a file like /run/netns/NAME or /proc/PID/ns/net")
        case .wrongType(let path, let type):
            "\(path) is a \(type) namespace, not a network namespace: use …/ns/net"
        case .isOurOwn(let path):
            "\(path) is the network namespace of this process: a sole interface there would cut the host off; "
                + "make one with --create, or name the container's"
        case .processGone(let pid):
            "process \(pid) has ended: start the container again, or give its new process"
        case .invalidName(let name):
            "\"\(name)\" cannot name a network namespace: 1 to 255 bytes without \"/\", not \".\" or \"..\""
        case .nameTaken(let name):
            "a network namespace named \(name) exists already: use it without --create, or choose another name"
        case .replaced(let path):
            "\(path) is now another network namespace than the one that was made here: left alone"
        case .system(let error):
            switch error.errno.rawValue {
            case EPERM, EACCES: "\(error): root is needed, or the user who made the namespace"
            default: "\(error)"
            }
        }
    }
}
