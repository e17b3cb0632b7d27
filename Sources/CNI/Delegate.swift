import Glibc
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// The IPAM plugin of a network, run as the specification says (section 4): found in CNI_PATH, with our own
/// environment and the whole network configuration.
///
/// A delegate may hang, print rubbish or never stop printing; each of these is an error with its name in it.
struct Delegate {
    /// host-local may wait for another ADD that holds its lock; a runtime gives up after minutes only.
    static let deadlineMilliseconds: Int32 = 20_000
    static let outputLimitBytes = 1 << 20

    let type: String
    let path: String
    let document: [UInt8]
    let variables: EnvironmentVariables
    let log: (String) -> Void

    /// - Throws: code 4 without CNI_PATH; 7 for a delegate that is not in it.
    init(
        _ type: String, document: [UInt8], searchPath: [String], variables: EnvironmentVariables,
        log: @escaping (String) -> Void
    ) throws(PluginError) {
        guard !searchPath.isEmpty else {
            throw PluginError(.invalidEnvironment, "CNI_PATH is needed to find the ipam plugin \"\(printable(type))\"")
        }
        guard let path = searchPath.lazy.map({ "\($0)/\(type)" }).first(where: Self.isProgram) else {
            throw PluginError(
                .invalidConfiguration,
                "ipam.type: \"\(printable(type))\" is not in CNI_PATH (\(printable(searchPath.joined(separator: ":"))))",
                details: "install the package of the reference plugins, or correct ipam.type")
        }
        self.type = type
        self.path = path
        self.document = document
        self.variables = variables
        self.log = log
    }

    private static func isProgram(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    /// Runs it for `verb` and returns its standard output.
    ///
    /// - Throws: the delegate's own error object with its code, or 102.
    @discardableResult
    func run(_ verb: Verb) throws(PluginError) -> [UInt8] { try DelegateRun(self, verb).finish() }

    /// A program that somebody is just writing can be run a moment later; libcni tries for five seconds, too.
    fileprivate func start(_ verb: Verb) throws(PluginError) -> PendingRun {
        let spawn = Spawn(
            .path(path), arguments: [type],
            environment: variables.setting("CNI_COMMAND", to: verb.rawValue).entries)
        var attempt = 1
        while true {
            do {
                return try spawn.startCapture(
                    input: document, deadlineMilliseconds: Self.deadlineMilliseconds,
                    limitBytes: Self.outputLimitBytes)
            } catch {
                guard error.errno.rawValue == ETXTBSY, attempt < 100 else { throw failure(verb, "\(error)") }
                attempt += 1
                usleep(50_000)
            }
        }
    }

    fileprivate func output(of run: CapturedRun, _ verb: Verb) throws(PluginError) -> [UInt8] {
        for line in String(decoding: run.errorOutput, as: UTF8.self).split(separator: "\n").prefix(100) {
            log("\(type): \(printable(line, limit: messageLimit))")
        }
        if let refusal = run.refusal { throw failure(verb, refusal) }
        switch run.ending {
        case .exited(0): return run.output
        case .killed(let signal): throw failure(verb, "killed by signal \(signal)")
        case .exited(let status):
            throw ownError(verb, run.output) ?? failure(verb, "exit status \(status) without an error object")
        case nil: throw failure(verb, "no ending")
        }
    }

    fileprivate func failure(_ verb: Verb, _ reason: String) -> PluginError {
        PluginError(.delegateFailed, "ipam plugin \(path) failed (\(verb.rawValue)): \(reason)")
    }

    /// The error object that the delegate printed; its code tells the runtime more than ours would.
    private func ownError(_ verb: Verb, _ output: [UInt8]) -> PluginError? {
        guard let object = try? JSONValue.parse(output), let code = object["code"]?.integer,
            let message = object["msg"]?.text
        else { return nil }
        return PluginError(
            code: code,
            message: "ipam plugin \(type) failed (\(verb.rawValue)): \(printable(message, limit: messageLimit))",
            details: printable(object["details"]?.text ?? "", limit: messageLimit))
    }
}

/// One run of a delegate beside our own work: it takes as long as all that we do ourselves, and neither needs the
/// other before the end. For one thread at a time.
final class DelegateRun: @unchecked Sendable {
    let delegate: Delegate
    let verb: Verb
    private var pending: PendingRun?

    init(_ delegate: Delegate, _ verb: Verb) throws(PluginError) {
        self.delegate = delegate
        self.verb = verb
        pending = try delegate.start(verb)
    }

    /// Its standard output. Once; afterwards it is empty.
    ///
    /// - Throws: the delegate's own error object with its code, or 102.
    @discardableResult
    func finish() throws(PluginError) -> [UInt8] {
        guard let pending = pending.take() else { return [] }
        let run: CapturedRun
        do {
            run = try pending.finish()
        } catch {
            throw delegate.failure(verb, "\(error)")
        }
        return try delegate.output(of: run, verb)
    }
}

/// Whole lines of other programs, in characters.
private let messageLimit = 500
