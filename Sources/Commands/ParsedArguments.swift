import WireGuardConfig

/// The words of a command line, sorted into options and the rest.
struct ParsedArguments: Equatable {
    /// By name, in the order given; an option without value has an empty text.
    private(set) var options: [String: [String]] = [:]
    private(set) var positional: [String] = []
    /// COMMAND and its arguments, untouched.
    private(set) var command: [String] = []

    func has(_ option: Option) -> Bool { options[option.name] != nil }

    /// The last value: later words override earlier ones.
    subscript(option: Option) -> String? { options[option.name]?.last }

    /// Parses until COMMAND.
    ///
    /// - Parameters:
    ///   - words: what follows the verb.
    ///   - positionalBeforeCommand: for verbs with a COMMAND, how many words come before it; nil for the others.
    ///   - maximumPositional: how many words a verb without COMMAND takes.
    static func parse(
        _ words: [String], options known: [Option], positionalBeforeCommand: Int? = nil, maximumPositional: Int = 1
    ) throws(UsageError) -> ParsedArguments {
        var parsed = ParsedArguments()
        var rest = words[...]
        while let word = rest.popFirst() {
            if let limit = positionalBeforeCommand, parsed.positional.count == limit {
                // `--` between CONFIG and COMMAND is optional; options of ours may still stand before it.
                if word == "--" {
                    parsed.command = Array(rest)
                    return parsed
                }
                if !word.hasPrefix("-") || word == "-" {
                    parsed.command = [word] + rest
                    return parsed
                }
            }
            if word == "--" {
                for other in rest { try parsed.addPositional(other, positionalBeforeCommand ?? maximumPositional) }
                return parsed
            }
            guard word.hasPrefix("-"), word != "-" else {
                try parsed.addPositional(word, positionalBeforeCommand ?? maximumPositional)
                continue
            }
            try parsed.addOption(word, &rest, known)
        }
        return parsed
    }

    private mutating func addPositional(_ word: String, _ limit: Int) throws(UsageError) {
        guard positional.count < limit else { throw UsageError("unexpected argument \"\(word)\"") }
        positional.append(word)
    }

    private mutating func addOption(
        _ word: String, _ rest: inout ArraySlice<String>, _ known: [Option]
    ) throws(UsageError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0]
        let attached = parts.count == 2 ? parts[1] : nil
        guard let option = known.first(where: { $0.name == name || $0.short == name }) else {
            throw UsageError(unknownOption: name, known: known.map(\.name))
        }
        switch option.value {
        case .none:
            if attached != nil { throw UsageError("\(option.name) takes no value") }
            options[option.name, default: []].append("")
        case .optional:
            options[option.name, default: []].append(attached ?? "")
        case .required(let placeholder):
            guard let value = attached ?? rest.popFirst() else {
                throw UsageError("\(option.name) needs a value: \(option.name) \(placeholder)")
            }
            options[option.name, default: []].append(value)
        }
    }
}

/// A command line that cannot be meant. Exit status 2, or 125 for `run` and `exec`.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    init(unknownOption name: String, known: [String]) {
        let near = closest(to: name, among: known).map { "; did you mean \($0)?" } ?? ""
        description = "unknown option \(name)\(near)"
    }
}

/// The word with the fewest edits, if that is few enough to be a slip.
func closest(to word: String, among candidates: [String]) -> String? {
    guard !word.isEmpty else { return nil }
    let ranked = candidates.map { (word: $0, edits: editDistance(word, $0)) }
    guard let best = ranked.min(by: { $0.edits < $1.edits }) else { return nil }
    return best.edits <= word.utf8.count / 3 || best.word.hasPrefix(word) ? best.word : nil
}
