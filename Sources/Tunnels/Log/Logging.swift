import LinuxSystem

extension TunnelKeeper {
    private var log: TunnelLog { TunnelLog(state: state) }
    private var failures: LastFailures { LastFailures(state: state) }

    /// Notes what was done.
    public func note(_ message: String, tunnel: TunnelID? = nil, owner: Owner? = nil) {
        log.write(LogEntry(.information, message, tunnel: tunnel, containerID: owner?.containerID))
        if let owner { failures.forget(owner.tunnelID) }
    }

    /// Notes a failure; a container's last one is kept beyond the log.
    public func noteFailure(_ message: String, tunnel: TunnelID? = nil, owner: Owner? = nil) {
        let entry = LogEntry(.error, message, tunnel: tunnel ?? owner?.tunnelID, containerID: owner?.containerID)
        log.write(entry)
        if let owner { failures.keep(entry, for: owner.tunnelID) }
    }

    /// What `swg-ns log` prints where there is no journald: the last failures, the log, and what the engine of a
    /// live tunnel wrote. Tab-separated lines, oldest first.
    ///
    /// - Parameter tunnel: a tunnel's id or the beginning of a container's.
    public func logLines(tunnel: String?) -> (failures: [String], log: [String], engine: [String]) {
        var engine: [String] = []
        if let tunnel, let id = try? TunnelID(tunnel) {
            let text = (try? File.readText(EngineLog.path(state: state, id: id))) ?? ""
            engine = text.split(separator: "\n").map(String.init)
        }
        return (failures.lines(matching: tunnel), log.lines(tunnel: tunnel), engine)
    }

    /// Arguments for journalctl(1), nil where journald does not run.
    public func journalArguments(tunnel: String?) -> [String]? {
        guard File.exists(TunnelLog.journalSocket) else { return nil }
        let own = "SYSLOG_IDENTIFIER=\(TunnelLog.identifier)"
        guard let tunnel else { return ["journalctl", "--no-pager", own] }
        return [
            "journalctl", "--no-pager", own, "TUNNEL=\(tunnel)", "+", "SYSLOG_IDENTIFIER=swg-engine-\(tunnel)", "+",
            own,
            "CNI_CONTAINERID=\(tunnel)",
        ]
    }
}
