import Glibc
import LinuxSystem

/// Where state and control sockets lie: the system's places for root, the user's own otherwise.
///
/// Root is who may use them. Uid 0 of a user namespace over the host's file tree (`unshare -r`, `podman unshare`) may
/// not write to /run, and is the user outside, whose places it shares. Uid 0 of a container with a /run of its own
/// may.
enum SystemPlaces {
    static let state = "/run/swg-ns"

    static let areOurs: Bool = {
        guard geteuid() == 0 else { return false }
        return userOutside == nil || mayWrite(state) ?? mayWrite("/run") ?? false
    }()

    /// The uid that stands behind ours in the user namespace around this one; nil in the initial one.
    /// user_namespaces(7), /proc/PID/uid_map.
    static let userOutside: uid_t? = {
        guard let text = try? File.readText("/proc/self/uid_map") else { return nil }
        return userOutside(of: geteuid(), map: text)
    }()

    static func userOutside(of user: uid_t, map: String) -> uid_t? {
        for line in map.split(separator: "\n") {
            let numbers = line.split(separator: " ").compactMap { UInt32($0) }
            guard numbers.count == 3, user >= numbers[0], user - numbers[0] < numbers[2] else { continue }
            let isInitial = numbers == [0, 0, .max]
            return isInitial ? nil : numbers[1] &+ (user - numbers[0])
        }
        return nil
    }

    /// The state directory of this process: `/run/swg-ns`, `$XDG_RUNTIME_DIR/swg-ns`, or below /tmp, where
    /// `StateDirectory` refuses one that is not ours (su, cron, a container).
    static var stateDirectory: String {
        if areOurs { return state }
        if let runtime = getenv("XDG_RUNTIME_DIR"), runtime.pointee == CChar(UInt8(ascii: "/")) {
            return String(cString: runtime) + "/swg-ns"
        }
        return "/tmp/swg-ns-\(userOutside ?? geteuid())"
    }

    /// Nil when it is not there.
    private static func mayWrite(_ path: String) -> Bool? {
        if access(path, W_OK) == 0 { return true }
        return errno == ENOENT ? nil : false
    }
}
