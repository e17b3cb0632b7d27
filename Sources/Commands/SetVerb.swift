import Tunnels

extension Verb {
    static let set = Verb(
        name: "set", synopsis: "TUNNEL [CONFIG]",
        summary: "Reload a tunnel's configuration without dropping sessions; says what it could not apply.",
        maximumPositional: 2
    ) { invocation in
        let id = try invocation.keeper.find(try invocation.argument("TUNNEL"))
        var source: ConfigurationSource?
        if invocation.arguments.positional.count == 2 {
            source = try ConfigurationChoice.source(invocation.arguments.positional[1])
        }
        let report: ReloadReport
        do {
            report = try invocation.keeper.reload(id, from: source)
        } catch {
            invocation.logFailure("set: \(error)", of: id)
            throw error
        }
        if !report.applied.isEmpty { invocation.log("set: applied \(report.applied.joined(separator: "; "))", of: id) }
        for change in report.notApplied { invocation.logFailure("set: not applied: \(change)", of: id) }
        for warning in report.warnings { invocation.output.warning(warning) }
        if invocation.output.isJSON {
            try invocation.output.json(SetDocument(report))
            return report.notApplied.isEmpty ? 0 : 1
        }
        for change in report.applied where !invocation.output.isQuiet { invocation.output.line("applied: \(change)") }
        for change in report.notApplied { invocation.output.error("not applied: \(change)") }
        if report.applied.isEmpty, report.notApplied.isEmpty, !invocation.output.isQuiet {
            invocation.output.line("nothing to change")
        }
        return report.notApplied.isEmpty ? 0 : 1
    }
}

/// What `set --json` prints.
struct SetDocument: Encodable {
    let id: String
    let applied: [String]
    let notApplied: [String]
    let warnings: [String]

    init(_ report: ReloadReport) {
        id = report.id.text
        applied = report.applied
        notApplied = report.notApplied
        warnings = report.warnings
    }
}
