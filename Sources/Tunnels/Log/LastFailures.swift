import CLinux
import Glibc
import LinuxSystem

/// The last failed ADD or DEL of each container, kept until the next success or until 64 newer ones: by the
/// time somebody looks, the runtime has forgotten why a container has no network.
struct LastFailures {
    static let capacity = 64

    let state: StateDirectory

    private var directory: String { "\(state.log)/failures" }

    /// Remembers one; best effort.
    func keep(_ entry: LogEntry, for id: TunnelID) {
        try? state.writing(into: directory) { () throws(SystemError) in
            try File.replace("\(directory)/\(id)", with: entry.line)
        }
        prune()
    }

    func forget(_ id: TunnelID) {
        _ = try? File.remove("\(directory)/\(id)")
        rmdir(directory)
        rmdir(state.log)
    }

    /// Lines as in the log, oldest first.
    func lines(matching text: String? = nil) -> [String] {
        let names = (try? File.list(directory)) ?? []
        return names.compactMap { name in
            guard let line = try? File.readText("\(directory)/\(name)").split(separator: "\n").first.map(String.init)
            else { return nil }
            guard let text else { return line }
            let parts = line.split(separator: "\t", maxSplits: 4, omittingEmptySubsequences: false)
            return parts.count > 3 && (parts[2] == text || parts[3].hasPrefix(text)) ? line : nil
        }.sorted()
    }

    private func prune() {
        guard let names = try? File.list(directory), names.count > LastFailures.capacity else { return }
        let byAge = names.map { name -> (String, Int) in
            var status = stat()
            stat("\(directory)/\(name)", &status)
            return (name, status.st_mtim.tv_sec)
        }.sorted { $0.1 < $1.1 }
        for (name, _) in byAge.prefix(names.count - LastFailures.capacity) {
            _ = try? File.remove("\(directory)/\(name)")
        }
    }
}
