import JSON
import LinuxSystem
import PluginSupport

extension NetavarkCall {
    /// The version of netavark's plugin API that this program speaks.
    static let apiVersion = "1.0.0"

    /// `info`, or no argument.
    func information() -> JSONValue {
        .object([
            "version": .string(programVersion), "api_version": .string(Self.apiVersion),
            "description": .string("a WireGuard interface as a container's only way out"),
        ])
    }
}
