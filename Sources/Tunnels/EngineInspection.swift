import CLinux
import Glibc
import LinuxSystem
import Namespaces

/// What /proc says about a live engine and its worker: that they hold nothing of the target, and that the one
/// that parses foreign bytes has no power.
enum EngineInspection {
    static func check(_ engine: ProcessIdentity, _ record: TunnelRecord) -> [CheckFinding] {
        var findings: [CheckFinding] = []
        let processes = [engine.pid] + EnginePlacement.descendants(of: engine.pid)
        if let pins = pins(of: record.namespace, processes) {
            findings.append(
                pins.isEmpty
                    ? .init(.proven, "P2", "no descriptor of the engine holds the container's namespace")
                    : .init(
                        .violated, "P2", "the engine holds the container's namespace: \(pins.joined(separator: ", "))"))
        } else {
            findings.append(.init(.unknown, "P2", "the engine's descriptors cannot be seen: run as root"))
        }
        if let socket = record.uapiSocketPath {
            var status = stat()
            let isPrivate = stat(socket, &status) == 0 && status.st_mode & 0o077 == 0
            findings.append(
                .init(
                    isPrivate ? .proven : .violated, "P3",
                    isPrivate ? "\(socket) is its owner's only" : "\(socket) is missing or open to others"))
        }
        for worker in processes.dropFirst() { findings.append(contentsOf: self.worker(worker)) }
        return findings
    }

    /// Descriptors that are the target's namespace file and stay so: an engine opens it for a moment when its link has
    /// changed (`LinkWatch`), as it has after every attach. Nil when /proc does not show them.
    static func pins(
        of namespace: NamespaceReference, _ processes: [Int32], looks: Int = 6, pauseMicroseconds: UInt32 = 20_000
    ) -> [String]? {
        guard var lasting = descriptors(of: namespace, processes) else { return nil }
        for _ in 1..<looks where !lasting.isEmpty {
            usleep(pauseMicroseconds)
            guard let now = descriptors(of: namespace, processes) else { return nil }
            lasting = lasting.filter(now.contains)
        }
        return lasting
    }

    private static func descriptors(of namespace: NamespaceReference, _ processes: [Int32]) -> [String]? {
        var found: [String] = []
        for process in processes {
            guard let numbers = try? File.links(to: "net:[\(namespace.inode)]", in: "/proc/\(process)/fd") else {
                return nil
            }
            found += numbers.map { "descriptor \($0) of process \(process)" }
        }
        return found
    }

    /// No capability, no new privileges, a system-call filter. proc_pid_status(5).
    private static func worker(_ process: Int32) -> [CheckFinding] {
        guard let text = try? File.readText("/proc/\(process)/status") else { return [] }
        // By bytes: characters of sixty lines take as long as all questions to the kernel.
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"))
        func values(_ key: String) -> [Substring] {
            let line = lines.first { $0.starts(with: "\(key):".utf8) }
            return line?.split(separator: UInt8(ascii: "\t")).dropFirst().map { Substring($0) } ?? []
        }
        let capabilities = values("CapEff").first.flatMap { UInt64($0, radix: 16) }
        let isConfined = capabilities == 0 && values("NoNewPrivs") == ["1"] && values("Seccomp") == ["2"]
        let user = values("Uid").first ?? "?"
        let claim =
            "the worker (process \(process), user \(user)) has no capability, no way to more, and a system-call filter"
        return [
            isConfined
                ? .init(.proven, "P3", claim)
                : .init(
                    .violated, "P3", "the worker (process \(process), user \(user)) is not confined as it should be")
        ]
    }
}
