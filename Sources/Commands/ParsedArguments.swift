import LinuxSystem
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

    /// The first word that there is no place for.
    private(set) var surplus: Surplus?

    struct Surplus: Equatable {
        let word: String
        /// The option directly before it that takes a value only after `=`, as in `--wait 5`.
        let optionBefore: Option?
    }

    /// Parses until COMMAND.
    ///
    /// - Parameters:
    ///   - words: what follows the verb.
    ///   - positionalBeforeCommand: for verbs with a COMMAND, how many words come before it; nil for the others.
    ///   - maximumPositional: how many words a verb without COMMAND takes; what comes after them is `surplus`.
    static func parse(
        _ words: [String], options known: [Option], positionalBeforeCommand: Int? = nil, maximumPositional: Int = 1
    ) throws(UsageError) -> ParsedArguments {
        var parsed = ParsedArguments()
        var rest = words[...]
        var endsOptions = false
        var optionBefore: Option?
        while let word = rest.popFirst() {
            let isOption = !endsOptions && word.hasPrefix("-") && word != "-"
            if let limit = positionalBeforeCommand, parsed.positional.count == limit {
                // `--` between CONFIG and COMMAND is optional; options of ours may still stand before it.
                if word == "--" {
                    parsed.command = Array(rest)
                    return parsed
                }
                if !isOption {
                    parsed.command = [word] + rest
                    return parsed
                }
            }
            if word == "--", !endsOptions {
                endsOptions = true
            } else if isOption {
                optionBefore = try parsed.addOption(word, &rest, known)
                continue
            } else if parsed.positional.count < positionalBeforeCommand ?? maximumPositional {
                parsed.positional.append(word)
            } else if parsed.surplus == nil {
                parsed.surplus = Surplus(word: word, optionBefore: optionBefore)
            }
            optionBefore = nil
        }
        return parsed
    }

    /// - Returns: the option, if its value can only follow `=` and did not.
    private mutating func addOption(
        _ word: String, _ rest: inout ArraySlice<String>, _ known: [Option]
    ) throws(UsageError) -> Option? {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0]
        let attached = parts.count == 2 ? parts[1] : nil
        guard let option = known.first(where: { $0.isCalled(name) }) else {
            throw UsageError(unknownOption: name, known: known)
        }
        var value = attached ?? ""
        switch option.value {
        case .none:
            if attached != nil { throw UsageError("\(option.name) takes no value") }
        case .optional: break
        case .required(let placeholder):
            if attached == nil {
                // Two dashes, or an option of ours: the value was forgotten. `--netns=--create` says otherwise.
                guard let next = rest.first, next != "--", !known.contains(where: { $0.isCalled(next) }) else {
                    throw UsageError("\(option.name) needs a value: \(option.name) \(placeholder)")
                }
                value = next
                rest.removeFirst()
            }
        }
        options[option.name, default: []].append(value)
        if case .optional = option.value, attached == nil { return option }
        return nil
    }
}

/// A command line that cannot be meant. Exit status 2, or 125 for `run` and `exec`.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    init(withoutCommand synopsis: String, after word: String) {
        self.init("COMMAND is missing after \"\(printable(word))\": swg-ns \(synopsis)")
    }

    init(unknownOption name: String, known: [Option]) {
        let advice = Advice.forOption(name, known: known).map { "; \($0)" } ?? ""
        self.init("unknown option \(printable(name))\(advice)")
    }
}

/// The word with the fewest edits, if that is few enough to be a slip.
func closest(to word: String, among candidates: [String]) -> String? {
    guard !word.isEmpty else { return nil }
    let ranked = candidates.map { (word: $0, edits: editDistance(word, $0)) }
    guard let best = ranked.min(by: { $0.edits < $1.edits }) else { return nil }
    return best.edits <= word.utf8.count / 3 || best.word.hasPrefix(word) ? best.word : nil
}
