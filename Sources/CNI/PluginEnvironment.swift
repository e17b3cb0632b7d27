import LinuxSystem
import PluginSupport
import Tunnels

/// The CNI_* variables of one call, checked as the specification wants them for its verb (section 2).
///
/// Other variables are tolerated: runtimes pass TRACEPARENT and much else.
struct PluginEnvironment: Hashable, Sendable {
    var verb: Verb
    /// Empty for VERSION, GC and STATUS.
    var containerID = ""
    /// A path; empty when the runtime has none (DEL after the namespace went).
    var networkNamespace = ""
    /// Empty for VERSION, GC and STATUS.
    var interface = ""
    /// CNI_ARGS as it came; `CNIArguments` reads it.
    var arguments = ""
    /// Absolute folders in which delegates are looked for.
    var searchPath: [String] = []
    /// Lets ADD and DEL work on the plugin's own namespace; of the reference library.
    var mayUseOwnNamespace = false

    /// - Throws: code 4, with the names of all variables that are missing or wrong.
    init(_ variables: EnvironmentVariables) throws(PluginError) {
        let name = variables["CNI_COMMAND"] ?? ""
        guard let verb = Verb(rawValue: name) else {
            throw PluginError(
                .invalidEnvironment,
                "CNI_COMMAND=\(printable(name)) is none of \(Verb.allCases.map(\.rawValue).joined(separator: " "))")
        }
        self.verb = verb
        // Runtimes probe with CNI_NETNS=dummy and the like: VERSION looks at nothing.
        if verb == .version { return }
        containerID = variables["CNI_CONTAINERID"] ?? ""
        networkNamespace = variables["CNI_NETNS"] ?? ""
        interface = variables["CNI_IFNAME"] ?? ""
        arguments = variables["CNI_ARGS"] ?? ""
        let override = variables["CNI_NETNS_OVERRIDE"]?.lowercased()
        mayUseOwnNamespace = override == "1" || override == "true"
        // A relative entry would mean another folder with every caller.
        searchPath = (variables["CNI_PATH"] ?? "").split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
        try check(variables)
    }

    private func check(_ variables: EnvironmentVariables) throws(PluginError) {
        let missing = Self.required(verb).filter { (variables[$0] ?? "").isEmpty }
        if !missing.isEmpty {
            throw PluginError(.invalidEnvironment, "\(verb.rawValue) needs \(missing.joined(separator: ", "))")
        }
        var wrong: [String] = []
        if verb == .add || verb == .check || verb == .delete {
            if !isSpecificationName(containerID) {
                wrong.append(
                    "CNI_CONTAINERID=\(printable(containerID)) must be letters, digits, '_', '.', '-', and not start with a sign"
                )
            }
            do {
                _ = try InterfaceName(interface)
            } catch {
                wrong.append("CNI_IFNAME: \(error.message)")
            }
        }
        if verb == .add || verb == .check, !networkNamespace.hasPrefix("/") {
            wrong.append("CNI_NETNS=\(printable(networkNamespace)) is not an absolute path")
        }
        if !wrong.isEmpty { throw PluginError(.invalidEnvironment, wrong.joined(separator: "; ")) }
    }

    /// Section 2, "Parameters" of each operation; CNI_PATH only where the text itself wants it.
    private static func required(_ verb: Verb) -> [String] {
        switch verb {
        case .add, .check: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]
        case .delete: ["CNI_CONTAINERID", "CNI_IFNAME"]
        case .garbageCollect: ["CNI_PATH"]
        case .status, .version: []
        }
    }
}

/// The alphabet of container ids and network names: `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`.
func isSpecificationName(_ text: String) -> Bool {
    guard let first = text.utf8.first, isLetterOrDigit(first) else { return false }
    return text.utf8.allSatisfy {
        isLetterOrDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
    }
}

private func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    default: false
    }
}
