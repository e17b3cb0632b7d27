import LinuxSystem
import Tunnels

extension Verb {
    static let log = Verb(
        name: "log", synopsis: "[TUNNEL]",
        summary: "What was done and what failed; the last failure of each container."
    ) { invocation in
        let word = invocation.arguments.positional.first
        // A container's id or a tunnel that is gone have no live tunnel, but may have lines.
        let tunnel = word.map { (try? invocation.keeper.find($0))?.text ?? $0 }
        let lines = invocation.keeper.logLines(tunnel: tunnel)
        if invocation.output.isJSON {
            try invocation.output.json(
                LogDocument(lastFailures: lines.failures, log: lines.log, engine: lines.engine))
            return 0
        }
        if !lines.failures.isEmpty {
            invocation.output.line("last failures:")
            for line in lines.failures { invocation.output.line("  " + line) }
        }
        for line in lines.log { invocation.output.line(line) }
        for line in lines.engine { invocation.output.line(line) }
        if let arguments = invocation.keeper.journalArguments(tunnel: tunnel) {
            let search = ["/usr/bin/journalctl", "/bin/journalctl"].first { File.exists($0) }
            if let search {
                let ending = try Spawn(.path(search), arguments: arguments, environment: ["PATH=/usr/bin:/bin"]).start()
                    .wait()
                return ending.shellStatus
            }
        }
        if lines.failures.isEmpty && lines.log.isEmpty && lines.engine.isEmpty {
            invocation.output.notice(word.map { "nothing was logged of \($0)" } ?? "nothing was logged")
        }
        return 0
    }
}

/// What `log --json` prints where there is no journald: tab-separated lines.
private struct LogDocument: Encodable {
    let lastFailures: [String]
    let log: [String]
    let engine: [String]
}
