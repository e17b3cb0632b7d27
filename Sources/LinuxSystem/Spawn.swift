import CLinux
import Glibc

/// A program to start: everything is decided here, in the parent; the child only makes system calls
/// (`swg_spawn` in CLinux).
public struct Spawn {
    public enum Executable {
        /// An absolute path; PATH is not searched.
        case path(String)
        /// An open descriptor of the program: an upgrade on disk cannot change what runs.
        case descriptor(Int32)
    }

    public var executable: Executable
    /// With argv[0].
    public var arguments: [String]
    /// `NAME=value`; nothing is inherited.
    public var environment: [String]
    /// Source descriptor for each number of the child from 0 on; nil is closed. All others are closed.
    public var descriptors: [Int32?]
    public var newSession = false
    /// Network namespace to join before exec.
    public var networkNamespace: Int32?
    /// An open `cgroup.procs` to enter.
    public var cgroupProcs: Int32?
    public var identity: (uid: uid_t, gid: gid_t)?
    public var parentDeathSignal: Int32 = 0
    public var resetOutOfMemoryScore = false
    public var directory: String?
    /// An open file into which the child writes its own line of /proc/self/stat before anything else: whoever
    /// cleans up after a parent that died finds the child by it (`ProcessIdentity(statLine:bootID:)`).
    public var identityFile: Int32?

    public init(
        _ executable: Executable, arguments: [String], environment: [String] = [], descriptors: [Int32?] = [0, 1, 2]
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.descriptors = descriptors
    }

    /// Starts it. Returns once exec has succeeded, or throws the step that failed.
    public func start() throws(SystemError) -> ChildProcess {
        let argv = CStringVector(arguments)
        let envp = CStringVector(environment)
        let numbers = descriptors.map { $0 ?? -1 }
        var plan = swg_spawn_plan()
        plan.executable_fd = -1
        plan.descriptor_count = Int32(numbers.count)
        plan.new_session = newSession ? 1 : 0
        plan.network_namespace = networkNamespace ?? -1
        plan.cgroup_procs = cgroupProcs ?? -1
        if let identity {
            plan.change_ids = 1
            plan.uid = identity.uid
            plan.gid = identity.gid
        }
        plan.parent_death_signal = parentDeathSignal
        plan.identity_file = identityFile ?? -1
        plan.reset_oom_score = resetOutOfMemoryScore ? 1 : 0
        var path = ""
        switch executable {
        case .path(let text): path = text
        case .descriptor(let number): plan.executable_fd = number
        }
        var pid: pid_t = 0
        var pidfd: Int32 = -1
        var step: UnsafePointer<CChar>?
        let error = path.withCString { pathPointer in
            numbers.withUnsafeBufferPointer { numbersPointer in
                withOptionalCString(directory) { directoryPointer in
                    plan.path = pathPointer
                    plan.argv = UnsafePointer(argv.pointer)
                    plan.envp = UnsafePointer(envp.pointer)
                    plan.descriptors = numbersPointer.baseAddress
                    plan.directory = directoryPointer
                    return swg_spawn(&plan, &pid, &pidfd, &step)
                }
            }
        }
        guard error == 0 else {
            let call = step.map { String(cString: $0) } ?? "spawn"
            throw SystemError(call: call, object: path.isEmpty ? (arguments.first ?? "") : path, errno: Errno(error))
        }
        return ChildProcess(pid: pid, process: ProcessDescriptor(owning: FileDescriptor(owning: pidfd)))
    }
}

/// A child that this process started and reaps.
public struct ChildProcess: ~Copyable, Sendable {
    public let pid: Int32
    public let process: ProcessDescriptor

    public enum Ending: Hashable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)

        /// As a shell reports it: the status, or 128 plus the signal.
        public var shellStatus: Int32 {
            switch self {
            case .exited(let status): status
            case .killed(let signal): 128 + signal
            }
        }
    }

    /// waitpid(2), blocking.
    public consuming func wait() throws(SystemError) -> Ending {
        let pid = pid
        var status: Int32 = 0
        try systemCall("waitpid", "process \(pid)") { waitpid(pid, &status, 0) }
        return Ending(waitStatus: status)
    }

    /// The ending if it has come, else nil.
    public borrowing func poll() throws(SystemError) -> Ending? {
        let pid = pid
        var status: Int32 = 0
        let result = try systemCall("waitpid", "process \(pid)") { waitpid(pid, &status, WNOHANG) }
        return result == 0 ? nil : Ending(waitStatus: status)
    }

    /// Kills and reaps.
    public consuming func kill() {
        _ = try? process.send(SIGKILL)
        _ = try? wait()
    }
}

extension ChildProcess {
    /// Whoever starts us may ignore SIGCHLD, and exec(2) passes that on: the kernel would then reap our children itself,
    /// and waiting for one would be an error, or never end. First thing in `main`. waitpid(2), signal(7).
    public static func makeWaitable() { signal(SIGCHLD, SIG_DFL) }
}

extension ChildProcess.Ending {
    public init(waitStatus: Int32) {
        self =
            swg_wifsignaled(waitStatus) != 0
            ? .killed(signal: swg_wtermsig(waitStatus)) : .exited(swg_wexitstatus(waitStatus))
    }
}

/// A null-terminated vector of C strings, as exec(3) wants it.
public final class CStringVector {
    public let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    public init(_ strings: [String]) {
        count = strings.count
        pointer = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { pointer[index] = strdup(string) }
        pointer[strings.count] = nil
    }

    deinit {
        for index in 0..<count { free(pointer[index]) }
        pointer.deallocate()
    }
}

func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let text else { return body(nil) }
    return text.withCString { body($0) }
}
