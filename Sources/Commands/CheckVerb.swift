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
        var all: [(id: TunnelID, finding: CheckFinding)] = []
        for id in ids {
            let findings = try invocation.keeper.check(invocation.keeper.record(id))
            all += findings.map { (id, $0) }
            guard !invocation.output.isJSON else { continue }
            for finding in findings where !(invocation.output.isQuiet && finding.verdict != .violated) {
                invocation.output.line("\(mark(finding.verdict))  \(Help.pad(finding.promise, 4))  \(finding.text)")
            }
        }
        if invocation.output.isJSON { try invocation.output.json(CheckDocument(ids, all)) }
        return status(all.map(\.finding))
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

/// What `check --json` prints.
struct CheckDocument: Encodable {
    struct Finding: Encodable {
        /// Its id.
        let tunnel: String
        /// `proven`, `violated`, `unknown` or `note`.
        let verdict: String
        /// `P1`, `P2`, `P3` or `live`.
        let promise: String
        let text: String
    }

    /// Absent when several tunnels share the target.
    let id: String?
    let proven: Bool
    let findings: [Finding]

    init(_ ids: [TunnelID], _ findings: [(id: TunnelID, finding: CheckFinding)]) {
        id = ids.count == 1 ? ids[0].text : nil
        proven = Verb.status(findings.map(\.finding)) == 0
        self.findings = findings.map { id, finding in
            Finding(
                tunnel: id.text, verdict: finding.verdict.rawValue, promise: finding.promise, text: finding.text)
        }
    }
}
