import WireGuardConfig
import WireGuardCrypto

/// A wg-quick file that was read and parsed, the keys of its files and commands put in; names not resolved yet.
struct LoadedConfiguration: Sendable {
    var configuration: TunnelConfiguration
    var privateKey: PrivateKey
    /// Nil when it came from a pipe.
    var path: String?
    /// Every file that a key was read from, absolute: the configuration itself among them.
    var secretPaths: [String] = []
    var warnings: [String] = []

    /// For messages.
    var label: String { path ?? "the configuration" }
}
