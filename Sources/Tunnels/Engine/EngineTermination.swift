import Glibc
import LinuxSystem

/// Ends an engine that is known by the line which it wrote about itself (promise P5: never on a pid alone).
enum EngineTermination {
    /// How long an engine may take to close its descriptors after SIGTERM.
    static let graceMilliseconds: Int32 = 2000

    /// Who wrote itself into the file; nil when nobody did, or the file is damaged.
    static func recordedProcess(_ identityPath: String, bootID: String) throws(SystemError) -> ProcessIdentity? {
        do {
            return ProcessIdentity(statLine: try File.readText(identityPath, limitBytes: 4096), bootID: bootID)
        } catch {
            if error.errno.rawValue == ENOENT { return nil }
            throw error
        }
    }

    /// SIGTERM, then SIGKILL; returns when it has ended. A process that is another one by now, or has ended, is
    /// success.
    static func end(_ identity: ProcessIdentity) throws(SystemError) {
        guard identity.bootID == (try ProcessIdentity.currentBootID()), let process = try identity.open() else {
            return
        }
        guard try process.send(SIGTERM) else { return }
        if try process.waitForExit(milliseconds: graceMilliseconds) { return }
        try process.send(SIGKILL)
        guard try process.waitForExit(milliseconds: graceMilliseconds) else {
            throw SystemError(
                call: "kill", object: "engine \(identity.pid)", errno: Errno(ETIMEDOUT),
                detail: "it does not end on SIGKILL")
        }
    }
}
