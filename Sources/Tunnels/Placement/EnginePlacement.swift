import LinuxSystem

/// Where the engine of a container's tunnel lives: not in the control group of the runtime that called the
/// plugin, because a runtime that is stopped or restarted takes its whole group with it, and the tunnels of
/// running containers must survive that.
///
/// Under systemd one transient scope per tunnel, asked for with a deadline; else a control group of our own;
/// else where it is. Which of the three, and why, is in `description` for the log. Called once by the process
/// that spawned the engine, before anything is told to the runtime.
public struct EnginePlacement: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        case scope(String)
        case controlGroup(folders: [String])
        case inherited
    }

    public let kind: Kind
    public let description: String

    /// Moves `process` and its descendants.
    ///
    /// - Parameters:
    ///   - name: the tunnel's id; the scope is `SystemdScope.unit(of:)`.
    ///   - milliseconds: how long systemd may take.
    public static func place(process: Int32, name: String, milliseconds: UInt64 = 2000) -> EnginePlacement {
        var reasons: [String] = []
        if SystemdScope.isBooted {
            let unit = SystemdScope.unit(of: name)
            do {
                try SystemdScope.start(
                    unit: unit, description: "WireGuard engine of the tunnel \(name)",
                    processes: [process] + descendants(of: process), milliseconds: milliseconds)
                // A worker forked meanwhile is still in the old group.
                if let group = try? ControlGroup.memberships(of: process).first(where: \.isVersion2) {
                    _ = join(process, group: "/sys/fs/cgroup\(group.path)")
                }
                return EnginePlacement(kind: .scope(unit), description: "in the systemd scope \(unit)")
            } catch {
                reasons.append("systemd gave no scope (\(error))")
            }
        }
        do {
            var folders = try ControlGroup.moveOut(process, name: name)
            // Only now: a worker that was forked while its parent moved was born in the old group.
            for child in descendants(of: process) {
                for folder in try ControlGroup.moveOut(child, name: name) where !folders.contains(folder) {
                    folders.append(folder)
                }
            }
            let place = folders.first.map { "in the control group \($0)" } ?? "in the root control group"
            return EnginePlacement(
                kind: .controlGroup(folders: folders), description: (reasons + [place]).joined(separator: "; "))
        } catch {
            reasons.append("no control group of our own (\(error))")
            return EnginePlacement(
                kind: .inherited,
                description: (reasons + ["left in the caller's group, and ends with it"]).joined(separator: "; "))
        }
    }

    /// The control group of an engine that lives in somebody's unit (`attach --foreground` under systemd), where its
    /// successor belongs too; nil for a scope of ours, which ends with its engine.
    static func callersUnit(of process: Int32) -> String? {
        guard SystemdScope.isBooted, let group = try? ControlGroup.memberships(of: process).first(where: \.isVersion2),
            let name = group.path.split(separator: "/").last, !name.hasPrefix("swg-ns-") || !name.hasSuffix(".scope"),
            group.path != "/"
        else { return nil }
        return "/sys/fs/cgroup\(group.path)"
    }

    /// Moves a process and its descendants into a version-2 group; false when that is gone.
    static func join(_ process: Int32, group: String) -> Bool {
        guard (try? File.write("\(process)", to: "\(group)/cgroup.procs")) != nil else { return false }
        for child in descendants(of: process) { try? File.write("\(child)", to: "\(group)/cgroup.procs") }
        return true
    }

    /// Removes what `place` made under this name, after the engine has ended. A scope goes by itself.
    public static func remove(name: String) { ControlGroup.remove(name: name) }

    /// Children and their children. proc_pid_children(5).
    static func descendants(of process: Int32) -> [Int32] {
        let text = (try? File.readText("/proc/\(process)/task/\(process)/children")) ?? ""
        return text.split(separator: " ").compactMap { Int32($0) }.flatMap { [$0] + descendants(of: $0) }
    }
}
