import Tunnels

extension Verb {
    static let doctor = Verb(
        name: "doctor", synopsis: "[--json]",
        summary: "What this machine can do, and the cure for what it cannot. Exit 0 when tunnels can be made.",
        maximumPositional: 0
    ) { invocation in
        let findings = invocation.keeper.diagnose()
        let isHealthy = !findings.contains { $0.verdict == .missing && $0.subject == DoctorFinding.conclusion }
        if invocation.output.isJSON {
            try invocation.output.json(DoctorDocument(findings: findings.map(DoctorDocument.Finding.init)))
            return isHealthy ? 0 : 1
        }
        let width = findings.map(\.subject.count).max() ?? 0
        for finding in findings {
            let mark =
                switch finding.verdict {
                case .good: "ok     "
                case .limited: "limited"
                case .missing: "missing"
                }
            invocation.output.line("\(mark)  \(Help.pad(finding.subject, width))  \(finding.finding)")
            if let cure = finding.cure {
                invocation.output.line("         \(Help.pad("", width))  → \(cure)")
            }
        }
        return isHealthy ? 0 : 1
    }
}

/// What `doctor --json` prints: `verdict` is `good`, `limited` or `missing`.
private struct DoctorDocument: Encodable {
    struct Finding: Encodable {
        let verdict: String
        let subject: String
        let finding: String
        let cure: String?

        init(_ finding: DoctorFinding) {
            verdict = finding.verdict.rawValue
            subject = finding.subject
            self.finding = finding.finding
            cure = finding.cure
        }
    }

    let findings: [Finding]
}
