import Glibc
import LinuxSystem

/// Who the command runs as.
struct InvokingUser: Hashable, Sendable {
    var uid: uid_t
    var gid: gid_t
    /// Supplementary groups to set; nil leaves those of the process.
    var groups: [gid_t]?
    /// From the user database; nil for a number without an entry.
    var name: String?
    var home: String?
    var shell: String?

    /// The one asked for; else the one behind sudo, doas or pkexec; else the caller.
    ///
    /// Only root may become somebody else.
    static func find(asked: String?) throws(TunnelError) -> InvokingUser {
        let real = getuid()
        if let asked {
            let user = try parse(asked)
            guard geteuid() == 0 || (user.uid == real && user.gid == getgid()) else {
                throw TunnelError(
                    .privileges, "only root can run a command as \(printable(asked))",
                    cure: "use sudo, or leave --user out")
            }
            return geteuid() == 0 ? user : caller()
        }
        guard geteuid() == 0 else { return caller() }
        for variable in ["SUDO_UID", "DOAS_UID", "PKEXEC_UID"] {
            guard let value = getenv(variable), let uid = uid_t(String(cString: value)), uid != 0, uid != .max else {
                continue
            }
            let gid = variable == "SUDO_UID" ? getenv("SUDO_GID").flatMap { gid_t(String(cString: $0)) } : nil
            return fromDatabase(uid: uid, fallbackGroup: gid ?? uid)
        }
        if let value = getenv("DOAS_USER") {
            let name = String(cString: value)
            if name != "root" { return try parse(name) }
        }
        return caller()
    }

    /// Whether the process is somebody else than the command will be.
    var isChange: Bool { uid != getuid() || uid != geteuid() || gid != getegid() }

    private static func caller() -> InvokingUser {
        // As the process has them: the user database may say something newer, and slowly.
        InvokingUser(uid: getuid(), gid: getgid(), groups: nil)
    }

    private static func parse(_ text: String) throws(TunnelError) -> InvokingUser {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard let first = parts.first else {
            throw TunnelError(.usage, "--user is empty", cure: "give a name or a number")
        }
        var user: InvokingUser
        if let uid = uid_t(first) {
            // -1 stands for "leave it as it is" in setresuid(2): the command would run as root.
            guard uid != .max else {
                throw TunnelError(.usage, "--user \(first) is no user", cure: "see getent passwd")
            }
            user = fromDatabase(uid: uid, fallbackGroup: uid)
        } else if let entry = getpwnam(first) {
            user = InvokingUser(entry.pointee)
        } else {
            throw TunnelError(.usage, "there is no user \"\(printable(first))\"", cure: "see getent passwd")
        }
        guard parts.count == 2 else { return user }
        if let gid = gid_t(parts[1]), gid != .max {
            user.gid = gid
        } else if let entry = getgrnam(parts[1]) {
            user.gid = entry.pointee.gr_gid
        } else {
            throw TunnelError(.usage, "there is no group \"\(printable(parts[1]))\"", cure: "see getent group")
        }
        user.groups = [user.gid]
        return user
    }

    private static func fromDatabase(uid: uid_t, fallbackGroup: gid_t) -> InvokingUser {
        if let entry = getpwuid(uid) { return InvokingUser(entry.pointee) }
        return InvokingUser(uid: uid, gid: fallbackGroup, groups: [fallbackGroup])
    }

    private init(uid: uid_t, gid: gid_t, groups: [gid_t]?) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
    }

    private init(_ entry: passwd) {
        uid = entry.pw_uid
        gid = entry.pw_gid
        name = entry.pw_name.map { String(cString: $0) }
        home = entry.pw_dir.map { String(cString: $0) }
        shell = entry.pw_shell.map { String(cString: $0) }
        groups = name.map { InvokingUser.groups(of: $0, including: entry.pw_gid) } ?? [entry.pw_gid]
    }

    /// getgrouplist(3).
    private static func groups(of name: String, including gid: gid_t) -> [gid_t] {
        var count: Int32 = 64
        while true {
            var list = [gid_t](repeating: 0, count: Int(count))
            let capacity = count
            if getgrouplist(name, gid, &list, &count) >= 0 { return Array(list.prefix(Int(count))) }
            // Too small: count now says how many there are. A liar among the name services gets a limit.
            if count <= capacity || count > 65536 { return [gid] }
        }
    }
}
