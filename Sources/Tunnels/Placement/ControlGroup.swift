import Glibc
import LinuxSystem

/// Control groups of our own, for machines without systemd. cgroups(7).
enum ControlGroup {
    /// One line of /proc/PID/cgroup: `0::/path` (version 2) or `4:memory:/path` (version 1).
    struct Membership: Equatable {
        let controllers: String
        let path: String

        var isVersion2: Bool { controllers.isEmpty }
    }

    static func memberships(of process: Int32) throws(SystemError) -> [Membership] {
        try File.readText("/proc/\(process)/cgroup").split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            return parts.count == 3 ? Membership(controllers: String(parts[1]), path: String(parts[2])) : nil
        }
    }

    /// Where hierarchies are mounted, by the same `controllers` text as in `Membership`.
    static func mountPoints(mountInformation: String) -> [String: String] {
        var places: [String: String] = [:]
        for line in mountInformation.split(separator: "\n") {
            let fields = line.split(separator: " ")
            // A lone hyphen ends the optional fields (proc_pid_mountinfo(5)); what follows: type, source, options.
            guard let hyphen = fields.firstIndex(of: "-"), hyphen >= 5, fields.count > hyphen + 3, fields[3] == "/"
            else { continue }
            switch fields[hyphen + 1] {
            case "cgroup2":
                places[""] = places[""] ?? String(fields[4])
            case "cgroup":
                let known = fields[hyphen + 3].split(separator: ",").filter {
                    $0 != "rw" && $0 != "ro" && $0 != "xattr"
                }
                places[known.joined(separator: ",")] = String(fields[4])
            default: break
            }
        }
        return places
    }

    /// Moves a process out of whatever group it was started in: into `swg-ns/NAME` of each hierarchy where
    /// its group is not the root. Returns the folders that now hold it, for removal when it has ended.
    static func moveOut(_ process: Int32, name: String) throws(SystemError) -> [String] {
        let places = mountPoints(mountInformation: try File.readText("/proc/self/mountinfo"))
        var folders: [String] = []
        for membership in try memberships(of: process) where membership.path != "/" {
            guard let place = places[membership.controllers] else { continue }
            // Another mount may lie on top of it, as in a namespace with a /sys of its own.
            guard File.exists("\(place)/cgroup.procs") else {
                throw SystemError(
                    call: "open", object: "\(place)/cgroup.procs", errno: Errno(ENOENT),
                    detail: "the hierarchy is hidden by another mount")
            }
            // A version-1 cpuset takes no process before it has CPUs; its root is as good.
            let folder = membership.controllers.holds("cpuset") ? place : "\(place)/swg-ns/\(name)"
            try File.makeDirectories(folder, mode: 0o755)
            try File.write("\(process)", to: "\(folder)/cgroup.procs")
            if folder != place { folders.append(folder) }
        }
        return folders
    }

    /// Removes the folders that `moveOut` made under this name, and the common parent when it was the last. They
    /// are found by the name: a process that was killed in between left no list of them.
    static func remove(name: String) {
        guard let mounts = try? File.readText("/proc/self/mountinfo") else { return }
        for place in Set(mountPoints(mountInformation: mounts).values) {
            rmdir("\(place)/swg-ns/\(name)")
            rmdir("\(place)/swg-ns")
        }
    }
}
