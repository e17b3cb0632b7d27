import Tunnels

extension Verb {
    static let check = Verb(
        name: "check", synopsis: "TUNNEL | TARGET",
        summary: "Prove on the live system that nothing can leave past the tunnel.",
        options: Option.targets, failureStatus: 2
    ) { invocation in
        let ids = try invocation.tunnels()
        guard !ids.isEmpty else {
            throw TunnelError(.notFound, "there is no tunnel of ours in that namespace", cure: "see swg-ns list")
        }
        var documents: [CheckDocument] = []
        var all: [CheckFinding] = []
        for id in ids {
            let findings = try invocation.keeper.check(id)
            all += findings
            documents.append(CheckDocument(id, findings))
            guard !invocation.output.isJSON else { continue }
            for finding in findings where !(invocation.output.isQuiet && finding.verdict != .violated) {
                invocation.output.line("\(mark(finding.verdict))  \(Help.pad(finding.promise, 4))  \(finding.text)")
            }
        }
        if invocation.output.isJSON { try invocation.output.json(documents) }
        return status(all)
    }

    private static func mark(_ verdict: CheckFinding.Verdict) -> String {
        switch verdict {
        case .proven: "ok  "
        case .violated: "FAIL"
        case .unknown: "?   "
        case .note: "-   "
        }
    }

    /// 0 proven, 1 not, 2 could not look.
    static func status(_ findings: [CheckFinding]) -> Int32 {
        if findings.contains(where: { $0.verdict == .violated }) { return 1 }
        return findings.contains { $0.verdict == .unknown } ? 2 : 0
    }
}

/// What `check --json` prints, one per tunnel.
struct CheckDocument: Encodable {
    struct Finding: Encodable {
        /// `proven`, `violated`, `unknown` or `note`.
        let verdict: String
        /// `P1`, `P2`, `P3` or `live`.
        let promise: String
        let text: String
    }

    let id: String
    let proven: Bool
    let findings: [Finding]

    init(_ id: TunnelID, _ findings: [CheckFinding]) {
        self.id = id.text
        proven = Verb.status(findings) == 0
        self.findings = findings.map { Finding(verdict: $0.verdict.rawValue, promise: $0.promise, text: $0.text) }
    }
}
