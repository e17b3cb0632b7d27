import JSON
import PluginSupport
import Tunnels

/// A failure as netavark's plugin API 1.0.0 wants it: `{"error":"TEXT"}` on standard output, and a non-zero exit.
struct NetavarkError: Error, Hashable, Sendable {
    var text: String

    init(_ text: String) { self.text = text }

    init(_ error: TunnelError) { self.init(OptionWords.options.translated(error.description)) }

    var object: JSONValue { .object(["error": .string(text)]) }
}
