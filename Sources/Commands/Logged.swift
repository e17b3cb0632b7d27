import Tunnels

/// What the command line did and what failed, for `swg-ns log`: attach, detach, set, repair and gc. Never `run` and
/// `exec`, whose user reads their messages at once.
extension Invocation {
    func log(_ message: String, of tunnel: TunnelID?) { keeper.note(message, tunnel: tunnel) }

    func logFailure(_ message: String, of tunnel: TunnelID?) { keeper.noteFailure(message, tunnel: tunnel) }

    /// What was taken down, and what could not be. Nothing to do is nothing to tell.
    func log(_ report: TeardownReport, _ verb: String, of tunnel: TunnelID? = nil) {
        for id in report.removed { log("\(verb): taken down", of: id) }
        for error in report.errors { logFailure("\(verb): \(error)", of: tunnel) }
    }
}
