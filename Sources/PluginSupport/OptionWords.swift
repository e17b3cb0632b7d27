import Tunnels

/// Errors of `Tunnels` name the command line's options in their cures. Whoever reads them from a runtime has a
/// network configuration instead, and its keys.
public enum OptionWords: Sendable {
    /// CNI: `"soleInterface": false`.
    case keys
    /// netavark: `--opt soleInterface=false`.
    case options

    /// The words of the command line, longest first, and the key and value that say the same.
    private static let pairs = [
        ("--engine userspace", "engine", "userspace"), ("--keep-interfaces", "soleInterface", "false"),
        ("--no-wait", "waitForHandshake", "false"), ("--state-dir", "stateDir", "FOLDER"),
    ]

    /// The text with keys in the place of options.
    public func translated(_ text: String) -> String {
        // Hooks are never run here, and the interface's name is the runtime's: no key says these.
        var result = text.replacing(" (give --hooks to run them)", with: " by plugins")
            .replacing("choose another --ifname", with: "another name for the interface")
        for (option, key, value) in Self.pairs {
            let isWord = value != "true" && value != "false"
            switch self {
            case .keys: result = result.replacing(option, with: "\"\(key)\": \(isWord ? "\"\(value)\"" : value)")
            case .options: result = result.replacing(option, with: "--opt \(key)=\(value)")
            }
        }
        return result
    }
}

extension String {
    /// Each occurrence of `text`; the standard library's own comes with regular expressions, which start slowly.
    fileprivate func replacing(_ text: String, with other: String) -> String {
        var result = ""
        var rest = self[...]
        while let start = rest.indices.first(where: { rest[$0...].hasPrefix(text) }) {
            result += rest[..<start] + other
            rest = rest[start...].dropFirst(text.count)
        }
        return result + rest
    }
}
