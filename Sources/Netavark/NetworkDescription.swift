import IPAddressing
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// A network as podman keeps it: what `create` gets and returns, and what stands under `network` in `setup` and
/// `teardown`. Plugin API 1.0.0, types.Network; unknown members stay, since podman adds some without notice.
struct NetworkDescription: Sendable {
    let root: JSONValue

    init(_ root: JSONValue?) throws(NetavarkError) {
        guard let root, root.members != nil else { throw NetavarkError("the network is missing in the input") }
        self.root = root
    }

    var name: String { root["name"]?.text ?? "" }

    /// `podman network create --opt KEY=VALUE`: all values are strings.
    var options: [String: JSONValue] { root["options"]?.members ?? [:] }

    /// `podman network create --dns`.
    var nameservers: [String] { (root["network_dns_servers"]?.elements ?? []).compactMap(\.text) }
}

/// The options of a network, checked; the keys are those of the CNI network configuration.
struct NetworkOptions: Hashable, Sendable {
    var source: Source
    var engine: EngineChoice = .automatic
    /// Bytes.
    var mtu: Int?
    var soleInterface = true
    /// Nil does not wait.
    var handshakeSeconds: Double?
    var stateDirectory: String?
    /// Patterns for what a container may choose; nil lets it choose any file of the pool by its name.
    var globs: [String]?

    enum Source: Hashable, Sendable {
        case file(String)
        case pool(directory: String)
    }

    static let keys = [
        "config", "configDir", "engine", "mtu", "soleInterface", "waitForHandshake", "stateDir", "allowChoice",
    ]

    /// - Throws: all mistakes in one text, each with key and value.
    init(_ options: [String: JSONValue]) throws(NetavarkError) {
        var problems: [String] = []
        func value(_ key: String) -> String? {
            guard let value = options[key], !value.isNull else { return nil }
            guard let text = value.text else {
                problems.append("\(key): \(value.shown) is \(value.kind), not a string")
                return nil
            }
            return text
        }
        func read<Value>(_ key: String, _ wanted: String, _ convert: (String) -> Value?) -> Value? {
            guard let text = value(key) else { return nil }
            guard let result = convert(text) else {
                problems.append("\(key)=\(JSONValue.string(text).shown) is not \(wanted)")
                return nil
            }
            return result
        }
        func absolute(_ text: String) -> String? { text.hasPrefix("/") && !text.contains("\n") ? text : nil }
        func flag(_ text: String) -> Bool? { ["true": true, "1": true, "false": false, "0": false][text.lowercased()] }

        for key in options.keys.sorted() where !Self.keys.contains(key) {
            let meant = KeySpelling.intended(by: key, among: Self.keys)
            problems.append(
                "\(printable(key)): there is no such option" + (meant.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
        let file = read("config", "an absolute path or the name of a file in /etc/wireguard", Self.filePath)
        let directory = read("configDir", "an absolute path", absolute)
        if options["config"] != nil, options["configDir"] != nil {
            problems.append("config and configDir: only one of them")
        } else if options["config"] == nil, options["configDir"] == nil {
            problems.append("--opt config=FILE or --opt configDir=FOLDER must say where the WireGuard configuration is")
        }
        source = file.map { .file($0) } ?? .pool(directory: directory ?? "")
        engine = read("engine", "auto, kernel or userspace", EngineChoice.init(rawValue:)) ?? .automatic
        mtu = read("mtu", "a number of bytes within 576…65535") {
            Int($0).flatMap { (576...65535).contains($0) ? $0 : nil }
        }
        soleInterface = read("soleInterface", "true or false", flag) ?? true
        handshakeSeconds =
            read("waitForHandshake", "true, false or a number of seconds up to 300") { text -> Double? in
                if let on = flag(text) { return on ? RunRequest.defaultWaitSeconds : 0 }
                return Double(text).flatMap { $0 > 0 && $0 <= 300 ? $0 : nil }
            }.flatMap { $0 > 0 ? $0 : nil }
        stateDirectory = read("stateDir", "an absolute path", absolute)
        globs = value("allowChoice").map { $0.split(separator: ",").map(String.init) }
        if !problems.isEmpty { throw NetavarkError(problems.joined(separator: "; ")) }
    }

    private static func filePath(_ text: String) -> String? {
        if text.hasPrefix("/"), !text.contains("\n") { return text }
        return ContainerOptions.isPlainName(text) ? "/etc/wireguard/\(ContainerOptions.withSuffix(text))" : nil
    }
}
