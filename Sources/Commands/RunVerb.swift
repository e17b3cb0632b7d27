import Tunnels

extension Verb {
    static let run = Verb(
        name: "run", synopsis: "[options] CONFIG [--] COMMAND [ARG…]",
        summary: "Run one command behind the tunnel, alone.",
        options: [
            .strict, .user, .engine, .interface, .id, .mtu, .dns, .table, .wait, .noWait, .dryRun,
        ],
        positionalBeforeCommand: 1, usageStatus: RunStatus.failed, failureStatus: RunStatus.failed
    ) { invocation in
        let arguments = invocation.arguments
        let word = try invocation.argument("CONFIG")
        guard !arguments.command.isEmpty else { throw UsageError(withoutCommand: "run CONFIG -- COMMAND", after: word) }
        var request = RunRequest(
            configuration: try ConfigurationChoice.source(word), command: arguments.command,
            interface: try InterfaceName(arguments[.interface] ?? "wg0"))
        request.id = try arguments[.id].map { (text) throws(TunnelError) in try TunnelID(text) }
        request.engine = try engine(arguments)
        request.mtu = try invocation.number(.mtu)
        request.dns = dns(arguments)
        request.table = arguments[.table]
        request.user = arguments[.user]
        request.strict = arguments.has(.strict)
        request.dryRun = arguments.has(.dryRun)
        request.quiet = arguments.has(.quiet)
        if arguments.has(.noWait) {
            request.waitSeconds = nil
        } else if let seconds = try waitSeconds(arguments) {
            request.waitSeconds = seconds
        }
        return try invocation.keeper.run(request)
    }

    static let execute = Verb(
        name: "exec", synopsis: "[options] TUNNEL [--] COMMAND [ARG…]",
        summary: "Run a command in an attached namespace, confined as run does.",
        options: [.strict, .user],
        positionalBeforeCommand: 1, usageStatus: RunStatus.failed, failureStatus: RunStatus.failed
    ) { invocation in
        let arguments = invocation.arguments
        let word = try invocation.argument("TUNNEL")
        guard !arguments.command.isEmpty else {
            throw UsageError(withoutCommand: "exec TUNNEL -- COMMAND", after: word)
        }
        var request = ExecRequest(tunnel: try invocation.keeper.find(word), command: arguments.command)
        request.user = arguments[.user]
        request.strict = arguments.has(.strict)
        request.quiet = arguments.has(.quiet)
        return try invocation.keeper.execute(request)
    }
}
