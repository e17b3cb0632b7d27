import Glibc
import LinuxSystem
import Tunnels

/// The program `swg-ns`.
public enum SwgNamespaceCommand {
    /// - Parameter arguments: without the program's name.
    /// - Returns: the exit status: 0, 1, 2 for usage; for `run` and `exec` the command's own, or 125 to 127; for
    ///   `check` 0 proven, 1 not, 2 could not look.
    public static func main(_ arguments: [String]) -> Int32 {
        ChildProcess.makeWaitable()
        guard let first = arguments.first else {
            Output.write(Help.overview, to: 2)
            return 2
        }
        switch first {
        case "--help", "-h", "help":
            guard arguments.count > 1 else {
                Output.write(Help.overview, to: 1)
                return 0
            }
            guard let verb = Verb.all.first(where: { $0.name == arguments[1] }) else { return refuse(arguments[1]) }
            Output.write(Help.text(verb), to: 1)
            return 0
        case "--version", "-V", "version":
            Output.write(version, to: 1)
            return 0
        default: break
        }
        guard let verb = Verb.all.first(where: { $0.name == first }) else { return refuse(first) }
        // A closed pipe is an error number of write(2), not the end of a half-made attach, nor of a `run` whose undertaker
        // was killed. The command of `run` and `exec` gets the default back.
        signal(SIGPIPE, SIG_IGN)
        return run(verb, Array(arguments.dropFirst()))
    }

    private static func refuse(_ word: String) -> Int32 {
        let advice = Advice.forVerb(word).map { "; \($0)" } ?? ""
        Output.write("swg-ns: there is no verb \"\(printable(word))\"\(advice)\nTry swg-ns --help.\n", to: 2)
        return 2
    }

    private static let version = "swg-ns \(programVersion)\n"

    private static func run(_ verb: Verb, _ words: [String]) -> Int32 {
        var output = Output()
        do {
            let arguments = try verb.parse(words)
            output.isJSON = arguments.has(.json)
            output.isQuiet = arguments.has(.quiet)
            output.isVerbose = arguments.has(.verbose)
            if arguments.has(.version) {
                Output.write(version, to: 1)
                return 0
            }
            if arguments.has(.help) {
                Output.write(Help.text(verb), to: 1)
                return 0
            }
            if let surplus = arguments.surplus {
                throw UsageError(Advice.forSurplus(surplus, of: verb, arguments))
            }
            if let directory = arguments[.stateDirectory], !directory.hasPrefix("/") {
                throw UsageError("--state-dir needs an absolute path, not \"\(printable(directory))\"")
            }
            var keeper = TunnelKeeper(stateDirectory: arguments[.stateDirectory], mayUseEnvironment: true)
            let tracing = output
            keeper.trace = { tracing.trace($0) }
            let status = try verb.run(Invocation(arguments: arguments, keeper: keeper, output: output))
            if let trouble = output.trouble.error {
                // Not as a document: it would go where nothing can be written.
                output.error("\(trouble)")
                return verb.failureStatus
            }
            return status
        } catch let error as UsageError {
            // The words could not be told apart, so `--json` is looked for among them.
            if ownWords(of: verb, words).contains(Option.json.name) { output.isJSON = true }
            report(
                TunnelError(.usage, "\(verb.name): \(error)", cure: "swg-ns \(verb.name) --help"),
                plainly: "\(verb.name): \(error)\nTry swg-ns \(verb.name) --help.", output)
            return verb.usageStatus
        } catch let error as TunnelError {
            report(error, plainly: error.description, output)
            return error.kind == .usage ? verb.usageStatus : verb.failureStatus
        } catch {
            report(TunnelError(.system, "\(error)"), plainly: "\(error)", output)
            return verb.failureStatus
        }
    }

    /// The words that cannot be COMMAND's, which may have a `--json` of its own.
    private static func ownWords(of verb: Verb, _ words: [String]) -> ArraySlice<String> {
        guard verb.positionalBeforeCommand != nil else { return words[...] }
        if let end = words.firstIndex(of: "--") { return words[..<end] }
        return words.prefix { $0.hasPrefix("-") }
    }

    /// With `--json` the error is a document as well: `{"error": {"kind", "message", "cure", "undoErrors"}}`.
    private static func report(_ error: TunnelError, plainly text: String, _ output: Output) {
        guard output.isJSON else { return output.error(text) }
        try? output.json(ErrorDocument(error))
    }
}

private struct ErrorDocument: Encodable {
    struct Details: Encodable {
        let kind: String
        let message: String
        let cure: String?
        let undoErrors: [String]
    }

    let error: Details

    init(_ error: TunnelError) {
        self.error = Details(
            kind: error.kind.rawValue, message: error.message, cure: error.cure, undoErrors: error.undoErrors)
    }
}
