import CLinux
import CSeccomp
import Glibc
import LinuxSystem

/// A system-call filter: compiled by libseccomp in the parent, where memory may be allocated and an error
/// told; installed in the child, where only a system call is left to do. seccomp(2), seccomp_export_bpf(3).
public struct SystemCallFilter: Hashable, Sendable {
    /// BPF instructions of eight bytes, in the kernel's own layout.
    public let program: [UInt64]

    public enum Verdict: Hashable, Sendable {
        case allow
        /// The call does nothing and gives this errno.
        case fail(Int32)
        /// SIGSYS that cannot be caught ends the whole process.
        case killProcess

        var action: UInt32 {
            switch self {
            case .allow: 0x7fff_0000  // SCMP_ACT_ALLOW
            case .fail(let errno): 0x0005_0000 | UInt32(errno & 0xffff)  // SCMP_ACT_ERRNO
            case .killProcess: 0x8000_0000  // SCMP_ACT_KILL_PROCESS
            }
        }
    }

    /// A condition on one argument; arguments are compared as 64-bit unsigned numbers.
    public struct Argument: Hashable, Sendable {
        let index: UInt32
        let comparison: UInt32
        let first: UInt64
        let second: UInt64

        public static func equal(_ index: UInt32, _ value: UInt64) -> Argument {
            Argument(index: index, comparison: SCMP_CMP_EQ.rawValue, first: value, second: 0)
        }
        public static func atLeast(_ index: UInt32, _ value: UInt64) -> Argument {
            Argument(index: index, comparison: SCMP_CMP_GE.rawValue, first: value, second: 0)
        }
        /// `argument & mask == value`.
        public static func masked(_ index: UInt32, mask: UInt64, _ value: UInt64) -> Argument {
            Argument(index: index, comparison: SCMP_CMP_MASKED_EQ.rawValue, first: mask, second: value)
        }
    }

    public struct Rule: Hashable, Sendable {
        public let name: String
        public let verdict: Verdict
        /// All must hold.
        public let arguments: [Argument]

        public init(_ name: String, _ verdict: Verdict, _ arguments: [Argument] = []) {
            self.name = name
            self.verdict = verdict
            self.arguments = arguments
        }
    }

    /// Only these calls; for a process whose every call is known.
    ///
    /// - Parameters:
    ///   - names: as in syscalls(2). A name that this libseccomp does not know is an error: a misspelt one
    ///     would otherwise kill a process in production.
    ///   - otherwise: what any other call gets.
    public static func allowList(_ names: [String], otherwise: Verdict = .killProcess) throws(SystemError)
        -> SystemCallFilter
    {
        try SystemCallFilter(rules: names.map { Rule($0, .allow) }, otherwise: otherwise)
    }

    /// - Throws: ENOSYS for an unknown name, EINVAL for a rule that libseccomp cannot express.
    public init(rules: [Rule], otherwise: Verdict, ignoringUnknownNames: Bool = false) throws(SystemError) {
        guard let context = seccomp_init(otherwise.action) else {
            throw SystemError(call: "seccomp_init", errno: Errno(ENOMEM))
        }
        defer { seccomp_release(context) }
        // Calls of another architecture (x32, 32-bit) end the process: the rules do not speak about them.
        try SystemCallFilter.check(
            "seccomp_attr_set", seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, Verdict.killProcess.action))
        for rule in rules where rule.verdict != otherwise {
            let number = seccomp_syscall_resolve_name(rule.name)
            if number == unknownName {
                if ignoringUnknownNames { continue }
                throw SystemError(call: "seccomp_syscall_resolve_name", object: rule.name, errno: Errno(ENOSYS))
            }
            // Negative numbers are calls that this architecture does not have.
            if number < 0 { continue }
            let conditions = rule.arguments.map {
                scmp_arg_cmp(
                    arg: $0.index, op: scmp_compare(rawValue: $0.comparison), datum_a: $0.first, datum_b: $0.second)
            }
            let result = seccomp_rule_add_array(
                context, rule.verdict.action, number, UInt32(conditions.count), conditions)
            try SystemCallFilter.check("seccomp_rule_add", result, rule.name)
        }
        let file = try MemoryFile.create(name: "filter")
        try SystemCallFilter.check("seccomp_export_bpf", seccomp_export_bpf(context, file.rawValue))
        try systemCall("lseek", "filter") { lseek(file.rawValue, 0, SEEK_SET) }
        let bytes = try file.readAll(object: "filter")
        program = stride(from: 0, to: bytes.count - bytes.count % 8, by: 8).map { start in
            bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    private static func check(_ call: String, _ result: Int32, _ object: String = "") throws(SystemError) {
        if result < 0 { throw SystemError(call: call, object: object, errno: Errno(-result)) }
    }

    /// Installs it for the calling thread and everything it starts; there is no way back. Needs
    /// no_new_privs (or CAP_SYS_ADMIN).
    public func install() throws(SystemError) {
        let count = UInt16(clamping: program.count)
        try systemCall("seccomp", "\(program.count) instructions") {
            program.withUnsafeBytes { bytes in
                swg_seccomp_install(bytes.bindMemory(to: swg_filter_instruction.self).baseAddress, count)
            }
        }
    }
}

/// `__NR_SCMP_ERROR`, a macro: what a name that libseccomp does not know resolves to.
private let unknownName: Int32 = -1
