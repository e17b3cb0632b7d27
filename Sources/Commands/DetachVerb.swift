import LinuxSystem
import Tunnels

extension Verb {
    static let detach = Verb(
        name: "detach", synopsis: "TUNNEL | TARGET",
        summary: "Take a tunnel down. Twice, late, or for what never was is success.", options: Option.targets
    ) { invocation in
        var report = TeardownReport()
        for id in try tunnelsToDetach(invocation) {
            let one = try invocation.keeper.detachWithHooks(id)
            invocation.log(one, "detach", of: id)
            report.removed += one.removed
            report.errors += one.errors
        }
        return try show(report, invocation.output, nothing: "nothing to detach")
    }

    /// A tunnel that does not exist is detached already.
    private static func tunnelsToDetach(_ invocation: Invocation) throws -> [TunnelID] {
        do {
            return try invocation.tunnels(allowsPrefix: false)
        } catch let error as TunnelError where error.kind == .notFound || error.kind == .target {
            guard let word = invocation.arguments.positional.first else { return [] }
            for id in try invocation.keeper.tunnels(inNamespaceNamed: word) {
                invocation.output.notice("in the namespace \(printable(word)) is tunnel \(id): swg-ns detach \(id)")
            }
            // What has neither journal nor record yet is still found by its id.
            return (try? TunnelID(word)).map { [$0] } ?? []
        }
    }

    static func show(_ report: TeardownReport, _ output: Output, nothing: String) throws -> Int32 {
        if output.isJSON {
            try output.json(TeardownDocument(report))
        } else {
            for error in report.errors { output.error(error.description) }
            if !output.isQuiet {
                for id in report.removed { output.line("detached \(id)") }
                if report.removed.isEmpty, report.errors.isEmpty { output.line(nothing) }
            }
        }
        return report.errors.isEmpty ? 0 : 1
    }

    static let collect = Verb(
        name: "gc", synopsis: "", summary: "Clean up what crashes, reboots and deleted namespaces have left.",
        maximumPositional: 0
    ) { invocation in
        let report = try invocation.keeper.collectGarbage()
        invocation.log(report, "gc")
        return try show(report, invocation.output, nothing: "nothing to clean up")
    }
}

/// What `detach --json` and `gc --json` print.
struct TeardownDocument: Encodable {
    let removed: [String]
    let errors: [String]

    init(_ report: TeardownReport) {
        removed = report.removed.map(\.text)
        errors = report.errors.map(\.description)
    }
}
