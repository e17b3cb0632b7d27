import Glibc
import LinuxSystem

/// A container's process, asked from its runtime's own command: there is no other stable interface to all
/// three.
enum ContainerLookup {
    private static let questions: [(program: String, arguments: [String])] = [
        ("podman", ["inspect", "--type", "container", "--format", "{{.State.Pid}}"]),
        ("docker", ["inspect", "--type", "container", "--format", "{{.State.Pid}}"]),
        ("nerdctl", ["inspect", "--format", "{{.State.Pid}}"]),
    ]
    /// Variables that say where the user's containers are.
    private static let whereabouts = [
        "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST",
        "CONTAINER_CONNECTION", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINERD_ADDRESS",
    ]
    private static let directories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]

    static func process(of name: String) throws(TunnelError) -> Int32 {
        guard !name.isEmpty, !name.hasPrefix("-"), name.utf8.count <= 255 else {
            throw TunnelError(.usage, "\"\(printable(name))\" is not the name of a container")
        }
        var asked: [String] = []
        for (program, arguments) in questions {
            guard let path = find(program) else { continue }
            switch ask(path, arguments + [name]) {
            case .success(let answer):
                if let pid = Int32(answer), pid > 0 { return pid }
                asked.append("\(program) (it does not run)")
            case .failure(let refusal): asked.append("\(program) (\(refusal.text))")
            }
        }
        if let path = find("ctr") {
            // Without its socket ctr waits for it, ten seconds for each question.
            let socket = getenv("CONTAINERD_ADDRESS").map { String(cString: $0) } ?? "/run/containerd/containerd.sock"
            var refusals = File.exists(socket) ? [] : ["\(printable(socket)) is not there"]
            for namespace in ["k8s.io", "default", "moby"] where refusals.isEmpty {
                switch ask(path, ["--namespace", namespace, "tasks", "list"]) {
                case .success(let table): if let pid = try task(name, in: table) { return pid }
                case .failure(let refusal): refusals.append(refusal.text)
                }
            }
            asked.append("containerd" + (refusals.first.map { " (\($0))" } ?? ""))
        }
        throw TunnelError(
            .target,
            asked.isEmpty
                ? "neither podman, docker, nerdctl nor ctr is installed here, so no container can be looked up"
                : "no running container \"\(printable(name))\" is known to \(asked.joined(separator: ", "))",
            cure: "start it, or give its process with --pid")
    }

    /// In the table of `ctr tasks list` (TASK PID STATUS): exactly that id, or the only one that begins so.
    static func task(_ name: String, in table: String) throws(TunnelError) -> Int32? {
        var found: [(id: Substring, pid: Int32)] = []
        for line in table.split(separator: "\n").dropFirst() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 3, words[2] == "RUNNING", let pid = Int32(words[1]), pid > 0 else { continue }
            if words[0] == name { return pid }
            if words[0].hasPrefix(name) { found.append((words[0], pid)) }
        }
        guard found.count > 1 else { return found.first?.pid }
        throw TunnelError(
            .target, "\"\(printable(name))\" fits several containers: \(found.map(\.id).joined(separator: ", "))",
            cure: "give the whole id")
    }

    private static func find(_ program: String) -> String? {
        directories.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    /// Why a command gave no answer, in its own words.
    private struct Refusal: Error {
        let text: String
    }

    /// The trimmed output. Ten seconds: a hung daemon must not hang us.
    private static func ask(_ path: String, _ arguments: [String]) -> Result<String, Refusal> {
        var environment = ["PATH=\(directories.joined(separator: ":"))"]
        for name in whereabouts {
            if let value = getenv(name) { environment.append("\(name)=\(String(cString: value))") }
        }
        let run: CapturedRun
        do {
            run = try Spawn(.path(path), arguments: [path] + arguments, environment: environment)
                .capture(deadlineMilliseconds: 10_000)
        } catch {
            return .failure(Refusal(text: "\(error)"))
        }
        guard run.ending == .exited(0) else {
            // The last line is the error, warnings come before it.
            let words = String(decoding: run.errorOutput, as: UTF8.self).split(separator: "\n").last.map(String.init)
            return .failure(Refusal(text: run.refusal ?? words.map { printable($0) } ?? "it failed without a word"))
        }
        let text = String(decoding: run.output, as: UTF8.self)
        return .success(text.split(separator: "\n").joined(separator: "\n"))
    }
}
