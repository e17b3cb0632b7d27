import CCap
import CLinux
import Glibc
import LinuxSystem

/// A set of Linux capabilities. capabilities(7).
public struct CapabilitySet: OptionSet, Hashable, Sendable {
    /// Bit N is capability number N of linux/capability.h.
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    private init(number: Int32) { rawValue = 1 << UInt64(number) }

    public static let kill = CapabilitySet(number: CAP_KILL)
    public static let setGroupID = CapabilitySet(number: CAP_SETGID)
    public static let setUserID = CapabilitySet(number: CAP_SETUID)
    public static let bindPrivilegedPorts = CapabilitySet(number: CAP_NET_BIND_SERVICE)
    public static let networkAdministration = CapabilitySet(number: CAP_NET_ADMIN)
    public static let rawSockets = CapabilitySet(number: CAP_NET_RAW)
    public static let systemAdministration = CapabilitySet(number: CAP_SYS_ADMIN)

    /// The capability with this number.
    public static func numbered(_ number: Int32) -> CapabilitySet { CapabilitySet(number: number) }

    /// Every capability that the running kernel knows.
    public static var all: CapabilitySet {
        let count = UInt64(cap_max_bits())
        return CapabilitySet(rawValue: count >= 64 ? .max : (1 << count) - 1)
    }

    /// The numbers in the set, ascending.
    public var numbers: [Int32] { (0..<64).filter { rawValue >> UInt64($0) & 1 == 1 } }
}

extension CapabilitySet: CustomStringConvertible {
    /// `cap_kill,cap_net_admin`, or `none`.
    public var description: String {
        if isEmpty { return "none" }
        return numbers.map { number in
            guard let name = cap_to_name(number) else { return "cap_\(number)" }
            defer { cap_free(name) }
            return String(cString: name)
        }.joined(separator: ",")
    }
}

/// The calling thread's capability sets. All functions act on one thread: call them before others start,
/// or in a forked child.
public enum ThreadCapabilities {
    public struct Sets: Hashable, Sendable {
        public var effective: CapabilitySet
        public var permitted: CapabilitySet
        public var inheritable: CapabilitySet
    }

    /// capget(2).
    public static func current() throws(SystemError) -> Sets {
        var header = __user_cap_header_struct(version: UInt32(_LINUX_CAPABILITY_VERSION_3), pid: 0)
        var low = __user_cap_data_struct()
        var high = __user_cap_data_struct()
        let result = withUnsafeTemporaryAllocation(of: __user_cap_data_struct.self, capacity: 2) { data in
            data.initialize(repeating: __user_cap_data_struct())
            let result = capget(&header, data.baseAddress)
            low = data[0]
            high = data[1]
            return result
        }
        try systemCall("capget") { result }
        func join(_ high: UInt32, _ low: UInt32) -> CapabilitySet {
            CapabilitySet(rawValue: UInt64(high) << 32 | UInt64(low))
        }
        return Sets(
            effective: join(high.effective, low.effective), permitted: join(high.permitted, low.permitted),
            inheritable: join(high.inheritable, low.inheritable))
    }

    /// Permitted and effective become what is kept of the permitted set; inheritable becomes empty. capset(2).
    public static func keepOnly(_ kept: CapabilitySet) throws(SystemError) {
        let remaining = try current().permitted.intersection(kept)
        let low = UInt32(truncatingIfNeeded: remaining.rawValue)
        let high = UInt32(truncatingIfNeeded: remaining.rawValue >> 32)
        var header = __user_cap_header_struct(version: UInt32(_LINUX_CAPABILITY_VERSION_3), pid: 0)
        let result = withUnsafeTemporaryAllocation(of: __user_cap_data_struct.self, capacity: 2) { data in
            data.initialize(repeating: __user_cap_data_struct())
            data[0] = __user_cap_data_struct(effective: low, permitted: low, inheritable: 0)
            data[1] = __user_cap_data_struct(effective: high, permitted: high, inheritable: 0)
            return capset(&header, data.baseAddress)
        }
        try systemCall("capset", remaining.description) { result }
    }

    /// The bounding set of the calling thread. PR_CAPBSET_READ.
    public static var bounding: CapabilitySet {
        var set: CapabilitySet = []
        for number in CapabilitySet.all.numbers where swg_prctl(PR_CAPBSET_READ, UInt(number), 0, 0, 0) == 1 {
            set.insert(.numbered(number))
        }
        return set
    }

    /// Takes everything else out of the bounding set, for good. Needs CAP_SETPCAP unless nothing is to go.
    public static func limitBounding(to kept: CapabilitySet) throws(SystemError) {
        for number in bounding.subtracting(kept).numbers {
            try systemCall("prctl(PR_CAPBSET_DROP)", "\(CapabilitySet.numbered(number))") {
                swg_prctl(PR_CAPBSET_DROP, UInt(number), 0, 0, 0)
            }
        }
    }

    /// PR_CAP_AMBIENT_CLEAR_ALL.
    public static func clearAmbient() throws(SystemError) {
        try systemCall("prctl(PR_CAP_AMBIENT_CLEAR_ALL)") {
            swg_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
        }
    }

    /// uid 0 gives no capability any more, for good: exec by root is exec like any other. Needs CAP_SETPCAP.
    public static func makeRootOrdinary() throws(SystemError) {
        let bits = UInt(swg_SECUREBITS_ORDINARY_ROOT)
        try systemCall("prctl(PR_SET_SECUREBITS)") { swg_prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) }
    }
}
