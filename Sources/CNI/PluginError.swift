import JSON
import PluginSupport
import Tunnels

/// The error object of the specification (section 5): printed on standard output, with a non-zero exit.
struct PluginError: Error, Hashable, Sendable {
    /// Specification 1.1.0, "Error"; 100 and above are ours.
    enum Code: Int64, Sendable {
        case incompatibleVersion = 1
        case unsupportedField = 2
        case invalidEnvironment = 4
        case inputOutput = 5
        case undecodable = 6
        case invalidConfiguration = 7
        /// Of the reference library: CNI_NETNS is the plugin's own namespace.
        case invalidNamespace = 8
        case tryAgainLater = 11
        case notAvailable = 50
        /// The tunnel could not be made or removed.
        case tunnelFailed = 100
        /// CHECK found something that is not as ADD left it.
        case notAsExpected = 101
        /// The IPAM delegate failed without an error object of its own.
        case delegateFailed = 102
    }

    /// A delegate's own code is passed on, whatever it is.
    var code: Int64
    /// One line that names the key and the value.
    var message: String
    var details: String

    init(_ code: Code, _ message: String, details: String = "") {
        self.init(code: code.rawValue, message: message, details: details)
    }

    init(code: Int64, message: String, details: String = "") {
        self.code = code
        self.message = message
        self.details = details
    }

    func object(_ version: SpecificationVersion) -> JSONValue {
        var members: [String: JSONValue] = [
            "cniVersion": .string(version.rawValue), "code": .integer(code), "msg": .string(message),
        ]
        if !details.isEmpty { members["details"] = .string(details) }
        return .object(members)
    }

    /// A refusal by `Tunnels`, with the code that tells the runtime what kind it is.
    init(_ error: TunnelError) {
        let code: Code =
            switch error.kind {
            case .usage, .configuration, .configurationFile: .invalidConfiguration
            case .target, .interfaceExists: .invalidEnvironment
            case .keyInUse, .poolExhausted, .busy: .tryAgainLater
            case .notSole, .privileges, .unavailable, .engine, .resolution, .handshake, .notFound, .state, .system:
                .tunnelFailed
            }
        self.init(
            code, OptionWords.keys.translated(error.message),
            details: ([error.cure.map(OptionWords.keys.translated)].compactMap { $0 }
                + error.undoErrors.map { "while undoing: \($0)" })
                .joined(separator: "\n"))
    }

    /// Several failures of one teardown: the first is the cause, the others are not lost.
    static func first(of errors: [PluginError]) -> PluginError? {
        guard var first = errors.first else { return nil }
        let others = errors.dropFirst().map { "also: \($0.message)" }
        first.details = ([first.details].filter { !$0.isEmpty } + others).joined(separator: "\n")
        return first
    }
}

/// What a step of a teardown ran into; the steps after it run all the same.
func failures(_ step: () throws(PluginError) -> Void) -> [PluginError] {
    do {
        try step()
        return []
    } catch {
        return [error]
    }
}
