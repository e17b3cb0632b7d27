import LinuxSystem
import WireGuardConfig
import WireGuardCrypto

/// What a command line that cannot be meant was probably meant to be, for the end of its error: habits from other
/// tools, slips of the finger, words in the wrong place.
enum Advice {
    /// Words that other tools have for our verbs.
    private static let foreignVerbs = [
        "attach": ["up", "add", "start", "create", "connect"],
        "detach": ["down", "del", "delete", "remove", "rm", "stop", "disconnect"],
        "list": ["ls", "ps"],
        "show": ["status", "info", "inspect"],
        "set": ["reload", "update", "setconf", "syncconf"],
        "exec": ["enter", "shell"],
        "check": ["test", "verify"],
        "gc": ["clean", "cleanup", "prune"],
        "repair": ["restart", "fix"],
        "log": ["logs", "journal"],
    ]

    private static let foreignOptions = [
        "--netns": ["--namespace", "--ns", "--network", "-n"], "--ifname": ["--interface", "--dev", "--name", "-i"],
        "--container": ["--ctr", "-c"], "--pid": ["--process", "-p"], "--json": ["--format", "-j"],
        "--user": ["-u"],
    ]

    static func forVerb(_ word: String) -> String? {
        if word.hasPrefix("-") {
            let global = [Option.help, .version]
            if let near = closest(to: word, among: global.map(\.name)) { return "did you mean \(near)?" }
            let isKnown = Verb.all.contains { $0.allOptions.contains { $0.isCalled(word) } }
            return isKnown ? "options come after the verb" : nil
        }
        let near = closest(to: word, among: Verb.all.map(\.name))
        return (near ?? meaning(of: word, foreignVerbs)).map { "did you mean \($0)?" }
    }

    static func forOption(_ name: String, known: [Option]) -> String? {
        let names = known.map(\.name)
        let users = Verb.all.filter { $0.options.contains { $0.isCalled(name) } }.map(\.name)
        if !users.isEmpty { return "of \(users.joined(separator: ", ")) only" }
        let meant =
            closest(to: name, among: names)
            ?? meaning(of: name, foreignOptions).flatMap { names.contains($0) ? $0 : nil }
        return meant.map { "did you mean \($0)?" }
    }

    /// The whole error, because a word that is a key is not shown.
    static func forSurplus(
        _ surplus: ParsedArguments.Surplus, of verb: Verb, _ arguments: ParsedArguments
    ) -> String {
        // genkey, genpsk and pubkey: `pubkey KEY` is a natural mistake.
        let mayBeKey = PublicKey(base64: surplus.word) != nil || Verb.ofKeys.contains(verb.name)
        let word = mayBeKey ? "(\(surplus.word.utf8.count) characters, not shown)" : "\"\(printable(surplus.word))\""
        return "unexpected argument \(word); \(place(of: surplus, verb, arguments))"
    }

    private static func place(
        of surplus: ParsedArguments.Surplus, _ verb: Verb, _ arguments: ParsedArguments
    ) -> String {
        let word = printable(surplus.word)
        if let option = surplus.optionBefore, Double(surplus.word) != nil {
            return "did you mean \(option.name)=\(word)?"
        }
        switch verb.name {
        case "attach":
            guard !Option.targets.contains(where: arguments.has) else { break }
            let first = arguments.positional.first ?? ""
            if surplus.word.hasSuffix(".conf"), !first.hasSuffix(".conf") {
                return "did you mean swg-ns attach \(word) \(target(first))?"
            }
            return "did you mean \(target(surplus.word))?"
        case "list": return "did you mean swg-ns show \(word)?"
        case "pubkey": return "the private key comes from standard input, as in swg-ns pubkey <private.key"
        default: break
        }
        return verb.synopsis.isEmpty ? "\(verb.name) takes none" : "it is swg-ns \(verb.name) \(verb.synopsis)"
    }

    private static func target(_ word: String) -> String {
        let option: Option = Int32(word) == nil ? .netns : .pid
        return "\(option.name) \(printable(word))"
    }

    private static func meaning(of word: String, _ dictionary: [String: [String]]) -> String? {
        dictionary.first { $0.value.contains(word) }?.key
    }
}
