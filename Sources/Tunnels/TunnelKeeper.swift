import CLinux
import Glibc
import LinuxSystem

/// The tunnels of this host, by their state directory: every verb of the command line and of the plugins is
/// a method of it, a file per verb.
///
/// Called from one thread of a short-lived program. It keeps nothing in memory between calls: what is true is
/// in the state directory and in the kernel.
public struct TunnelKeeper: Sendable {
    /// STATE: `/run/swg-ns`, or `$XDG_RUNTIME_DIR/swg-ns` without root.
    public let stateDirectory: String
    /// Whether SWG_ENGINE may name the engine: for `swg-ns` only, never for plugins.
    public let mayUseEnvironment: Bool
    /// Called for every progress line (`--verbose`).
    public var trace: @Sendable (String) -> Void = { _ in }

    public init(stateDirectory: String? = nil, mayUseEnvironment: Bool = false) {
        self.stateDirectory = stateDirectory ?? TunnelKeeper.defaultStateDirectory
        // A set-uid or file-capability start must not take orders from the environment.
        self.mayUseEnvironment = mayUseEnvironment && getauxval(UInt(AT_SECURE)) == 0
    }

    public static var defaultStateDirectory: String { SystemPlaces.stateDirectory }
}
