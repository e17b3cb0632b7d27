import LinuxSystem
import Tunnels

/// One verb of the command line: what its help says and what it does. A file each.
struct Verb: Sendable {
    let name: String
    /// After `swg-ns NAME`.
    let synopsis: String
    /// One line.
    let summary: String
    var options: [Option] = []
    /// For verbs with a COMMAND: how many words come before it.
    var positionalBeforeCommand: Int?
    var maximumPositional = 1
    /// Its own usage errors: 125 where the command's status is passed on, else 2.
    var usageStatus: Int32 = 2
    /// What a failure of ours exits with.
    var failureStatus: Int32 = 1
    let run: @Sendable (Invocation) throws -> Int32

    var allOptions: [Option] { options + Option.common }

    func parse(_ words: [String]) throws(UsageError) -> ParsedArguments {
        try ParsedArguments.parse(
            words, options: allOptions, positionalBeforeCommand: positionalBeforeCommand,
            maximumPositional: maximumPositional)
    }

    static let all: [Verb] = [
        .run, .attach, .detach, .execute, .list, .show, .check, .set, .collect, .repair, .genkey, .genpsk, .pubkey,
        .doctor, .log,
    ]
}

/// One call of a verb.
struct Invocation {
    let arguments: ParsedArguments
    let keeper: TunnelKeeper
    let output: Output

    /// The only positional argument; a usage error without it.
    func argument(_ name: String) throws(UsageError) -> String {
        guard let word = arguments.positional.first else { throw UsageError("\(name) is missing") }
        return word
    }

    /// `--netns`, `--pid` or `--container`; nil without any, a usage error with several.
    func target() throws(UsageError) -> Target? {
        var targets: [Target] = []
        if let value = arguments[.netns] { targets.append(value.contains("/") ? .path(value) : .name(value)) }
        if let value = arguments[.pid] {
            guard let pid = Int32(value), pid > 0 else {
                throw UsageError("--pid needs a process number, not \"\(printable(value))\"")
            }
            targets.append(.process(pid))
        }
        if let value = arguments[.container] { targets.append(.container(value)) }
        guard targets.count <= 1 else { throw UsageError("give one of --netns, --pid and --container") }
        return targets.first
    }

    /// TUNNEL or TARGET of verbs that take either.
    func tunnels(allowsPrefix: Bool = true) throws -> [TunnelID] {
        if let target = try target() {
            guard arguments.positional.isEmpty else { throw UsageError("give a tunnel or a target, not both") }
            return try keeper.find(in: target)
        }
        return [try keeper.find(try argument("TUNNEL"), allowsPrefix: allowsPrefix)]
    }

    func number(_ option: Option) throws(UsageError) -> Int? {
        guard let text = arguments[option] else { return nil }
        guard let number = Int(text), number >= 0 else {
            throw UsageError("\(option.name) needs a number, not \"\(printable(text))\"")
        }
        return number
    }
}
