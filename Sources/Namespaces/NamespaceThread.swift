import CLinux
import Glibc
import LinuxSystem

// Theory of operation.
//
// setns(2) and unshare(2) change the namespace of one *thread*. A pooled thread that did this and went back
// would run somebody else's code in the wrong namespace (plugins#524: interfaces appeared in another pod).
// Therefore everything that has to happen inside a namespace runs on a thread made for it, which ends with
// it; nothing else in this project calls the two. The caller waits, so borrowed values may be used inside.
// Signals stay with the other threads. Swift concurrency never runs here: the closure is synchronous.
// What can go wrong: no thread (EAGAIN), or EPERM from setns; then the closure has not run.

/// Runs `body` with the namespace as the thread's own and returns its value.
///
/// For errors other than SystemError return a `Result` from the body.
/// - Throws: what setns(2) refused, or what `body` threw.
public func withNamespace<Value: ~Copyable>(
    _ namespace: borrowing NetworkNamespace, _ body: () throws(SystemError) -> Value
) throws(SystemError) -> Value {
    let number = namespace.descriptor.rawValue
    let label = namespace.label
    return try onDedicatedThread { () throws(SystemError) in
        do throws(SystemError) {
            try systemCall("setns", label) { setns(number, CLONE_NEWNET) }
        } catch {
            guard error.errno.rawValue == EPERM else { throw error }
            throw error.explained("joining a network namespace needs CAP_SYS_ADMIN here and in its owner")
        }
        return try body()
    }
}

extension NetworkNamespace {
    /// A new one without a name; it lives as long as something holds it. unshare(2).
    public static func createAnonymous() throws(NamespaceError) -> NetworkNamespace {
        let descriptor = try NamespaceError.wrapping { () throws(SystemError) in
            try onDedicatedThread { () throws(SystemError) in
                try enterNewNamespaces(.network)
                return try FileDescriptor.open(ownPath, O_RDONLY)
            }
        }
        return try NetworkNamespace(verifying: descriptor, label: "a new network namespace")
    }
}

/// Kinds of namespaces for unshare(2).
public struct NamespaceKinds: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
    public static let network = NamespaceKinds(rawValue: CLONE_NEWNET)
    public static let mount = NamespaceKinds(rawValue: CLONE_NEWNS)
    public static let pid = NamespaceKinds(rawValue: CLONE_NEWPID)
    public static let user = NamespaceKinds(rawValue: CLONE_NEWUSER)
    public static let ipc = NamespaceKinds(rawValue: CLONE_NEWIPC)
    public static let uts = NamespaceKinds(rawValue: CLONE_NEWUTS)
}

/// unshare(2) for the calling thread, for good. Only on a dedicated thread or in a child process that
/// belongs to the caller; `.user` needs a process with a single thread (the kernel answers EINVAL otherwise).
public func enterNewNamespaces(_ kinds: NamespaceKinds) throws(SystemError) {
    do {
        try systemCall("unshare") { unshare(kinds.rawValue) }
    } catch {
        switch error.errno.rawValue {
        case EPERM where !kinds.contains(.user):
            throw error.explained("new namespaces need CAP_SYS_ADMIN, or a user namespace around them")
        case ENOSPC, EUSERS:
            throw error.explained("the limit of namespaces is reached: see /proc/sys/user/max_*_namespaces")
        default: throw error
        }
    }
}

/// setns(2) for the calling thread, for good; the same rules as `enterNewNamespaces`.
public func joinNamespace(_ descriptor: Int32, _ kinds: NamespaceKinds) throws(SystemError) {
    try systemCall("setns", "descriptor \(descriptor)") { setns(descriptor, kinds.rawValue) }
}

/// Runs `body` on a thread of its own and waits for it.
public func onDedicatedThread<Value: ~Copyable>(
    _ body: () throws(SystemError) -> Value
) throws(SystemError) -> Value {
    // The thread is joined before this function returns: the closure does not escape in truth.
    let box = ThreadBox<Value>()
    let failure: Int32 = withoutActuallyEscaping({ () -> Void in
        do throws(SystemError) {
            box.value = try body()
        } catch {
            box.error = error
        }
    }) { work in
        let argument = Unmanaged.passRetained(ThreadWork(work))
        var before = sigset_t()
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, runThreadWork, argument.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        if result == 0 { pthread_join(thread, nil) }
        argument.release()
        return result
    }
    guard failure == 0 else { throw SystemError(call: "pthread_create", errno: Errno(failure)) }
    if let error = box.error { throw error }
    guard let value = box.value.take() else { preconditionFailure("a thread ended without a value") }
    return value
}

/// Takes the result from one thread to the other; pthread_join orders the two.
private final class ThreadBox<Value: ~Copyable> {
    var value: Value?
    var error: SystemError?
}

private final class ThreadWork {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}

private func runThreadWork(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { Unmanaged<ThreadWork>.fromOpaque(argument).takeUnretainedValue().run() }
    return nil
}
