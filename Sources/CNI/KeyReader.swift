import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// Reads the keys of a network configuration one by one and collects what is wrong with them, so that a person
/// who made three mistakes reads of three.
struct KeyReader {
    let root: JSONValue
    private(set) var problems: [String] = []

    init(_ root: JSONValue) { self.root = root }

    func throwProblems() throws(PluginError) {
        guard let first = problems.first else { return }
        let message = problems.count == 1 ? first : "\(first) (and \(problems.count - 1) more)"
        throw PluginError(.invalidConfiguration, message, details: problems.dropFirst().joined(separator: "\n"))
    }

    mutating func report(_ problem: String) { problems.append(problem) }

    /// A key with a value of the wrong kind; the message holds both.
    mutating func reportKind(_ key: String, _ value: JSONValue, wanted: String) {
        report("\(key): \(value.shown) is \(value.kind), not \(wanted)")
    }

    mutating func text(_ key: String) -> String? { value(key, "a string") { $0.text } }

    mutating func flag(_ key: String) -> Bool? { value(key, "true or false") { $0.flag } }

    mutating func object(_ key: String) -> JSONValue? { value(key, "an object") { $0.members == nil ? nil : $0 } }

    private mutating func value<Value>(_ key: String, _ wanted: String, _ read: (JSONValue) -> Value?) -> Value? {
        guard let value = root[key] else { return nil }
        let result = read(value)
        if result == nil { reportKind(key, value, wanted: wanted) }
        return result
    }

    /// Runtimes call plugins from any working directory, so a relative path has no meaning.
    mutating func absolutePath(_ key: String) -> String? {
        guard let text = text(key) else { return nil }
        guard text.hasPrefix("/"), !text.contains("\0"), !text.contains("\n") else {
            report("\(key): \(JSONValue.string(text).shown) is not an absolute path")
            return nil
        }
        return text
    }

    mutating func networkName() -> String {
        guard let value = root["name"] else {
            report("name: a network configuration needs a name")
            return ""
        }
        guard let name = value.text, isSpecificationName(name) else {
            report("name: \(value.shown) must be letters, digits, '_', '.', '-', and not start with a sign")
            return ""
        }
        return name
    }

    /// Slips are problems, secrets are problems, the rest is returned.
    mutating func findForeignKeys() -> [String] {
        let known = Set(NetworkConfiguration.ownKeys + NetworkConfiguration.commonKeys)
        var foreign: [String] = []
        for key in (root.members ?? [:]).keys.sorted() where !known.contains(key) && !key.hasPrefix("cni.dev/") {
            if ["privatekey", "presharedkey"].contains(key.lowercased()) {
                // libcni keeps a copy of the configuration on disk, and every call gets it.
                report(
                    "\(key): a key must not stand in a network configuration; put it into a file and name that in \"config\""
                )
            } else if let meant = KeySpelling.intended(
                by: key, among: NetworkConfiguration.ownKeys + NetworkConfiguration.commonKeys)
            {
                report(
                    "\(printable(key)): there is no such key; did you mean \"\(meant)\"? (its value: \(root[key]?.shown ?? "null"))"
                )
            } else {
                foreign.append(printable(key))
            }
        }
        return foreign
    }
}
