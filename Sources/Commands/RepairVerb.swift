import Tunnels

extension Verb {
    static let repair = Verb(
        name: "repair", synopsis: "[TUNNEL [CONFIG]]",
        summary: "Bring a dead engine's tunnel back; replace a live engine by the installed program.",
        options: [.replace], maximumPositional: 2
    ) { invocation in
        let replaces = invocation.arguments.has(.replace)
        var ids: [TunnelID] = []
        if let word = invocation.arguments.positional.first {
            ids = [try invocation.keeper.findForRepair(word)]
        } else {
            ids = try invocation.keeper.list().map(\.id)
        }
        var source: ConfigurationSource?
        if invocation.arguments.positional.count == 2 {
            source = try ConfigurationChoice.source(invocation.arguments.positional[1])
        }
        var documents: [RepairDocument] = []
        for id in ids {
            do {
                let report = try invocation.keeper.repair(id, replacingEngine: replaces, from: source)
                if report.outcome != .healthy { invocation.log("repair: \(report.outcome.rawValue)", of: id) }
                for warning in report.warnings { invocation.output.warning(warning) }
                documents.append(RepairDocument(id: id.text, outcome: report.outcome.rawValue, error: nil))
            } catch {
                invocation.logFailure("repair: \(error)", of: id)
                documents.append(RepairDocument(id: id.text, outcome: "failed", error: "\(error)"))
            }
        }
        if invocation.output.isJSON {
            try invocation.output.json(RepairReportDocument(tunnels: documents))
        } else {
            for document in documents {
                if let error = document.error {
                    invocation.output.error("\(document.id): \(error)")
                } else if !invocation.output.isQuiet {
                    invocation.output.line("\(document.id): \(document.outcome)")
                }
            }
        }
        return documents.contains { $0.error != nil } ? 1 : 0
    }
}

/// What `repair --json` prints.
struct RepairReportDocument: Encodable {
    let tunnels: [RepairDocument]
}

/// One tunnel of it.
struct RepairDocument: Encodable {
    let id: String
    /// `healthy`, `remade`, `replaced`, `collected` or `failed`.
    let outcome: String
    let error: String?
}
