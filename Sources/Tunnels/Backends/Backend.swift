import LinuxSystem
import Netlink
import WireGuardModel

/// What makes a device in the target. Two of them: the kernel's driver and our engine.
enum Backend {
    /// Chooses, and says why.
    ///
    /// `auto` takes the kernel where it has WireGuard and we may use it: it is faster, and needs no process.
    static func choose(_ choice: EngineChoice) -> (kind: BackendKind, reason: String?) {
        switch choice {
        case .kernel: return (.kernel, nil)
        case .userspace: return (.userspace, nil)
        case .automatic:
            if WireGuardNetlink.isAvailable() { return (.kernel, "the kernel has WireGuard") }
            return (.userspace, "the kernel has no WireGuard")
        }
    }
}

/// A device that a backend has made, in the target under its final name, not up yet; its engine may still be
/// starting.
struct MadeDevice: ~Copyable {
    let link: Link
    /// Nil with the kernel's driver.
    let engine: MadeEngine?

    /// How long an engine may take to be ready.
    static let readyMilliseconds: Int32 = 10_000

    /// Waits for the engine's word. Last, because everything before it runs beside the engine's start.
    borrowing func waitUntilReady() throws(TunnelError) {
        switch engine {
        case .some(let engine): try engine.starting.waitUntilReady(milliseconds: Self.readyMilliseconds)
        case nil: return
        }
    }
}

/// The engine's side of a device.
struct MadeEngine: ~Copyable {
    let process: ProcessIdentity?
    let path: String
    let version: String?
    let uapiSocketPath: String
    /// For the log: where the engine's process was put.
    let placement: String?
    /// Where the engine's word is waited for.
    let starting: StartedEngine
}

extension TunnelRecord {
    mutating func follow(_ engine: borrowing MadeEngine) {
        self.engine = engine.process.map(RecordedProcess.init)
        enginePath = engine.path
        engineVersion = engine.version
        uapiSocketPath = engine.uapiSocketPath
    }
}
