import IPAddressing
import LinuxSystem
import Tunnels
import WireGuardCrypto

extension Verb {
    static let attach = Verb(
        name: "attach", synopsis: "[options] CONFIG TARGET",
        summary: "Give a live network namespace the tunnel as its only way out.",
        options: Option.targets + [
            .create, .engine, .interface, .id, .mtu, .dns,
            .table, .wait, .noWait, .hooks,
            .keepInterfaces, .foreground, .dryRun,
        ]
    ) { invocation in
        let request = try attachRequest(invocation)
        func make() throws -> AttachReport {
            let report = try attach(request, invocation)
            try show(report, request, invocation.output)
            return report
        }
        if invocation.arguments.has(.foreground), !request.dryRun { return try Foreground.serve(invocation, make) }
        _ = try make()
        return 0
    }

    private static func attach(_ request: AttachRequest, _ invocation: Invocation) throws -> AttachReport {
        do {
            let report = try invocation.keeper.attach(request)
            if !request.dryRun {
                let file = report.configurationPath.map { " from \(printable($0))" } ?? ""
                invocation.log(
                    "attached \(report.interface) in \(request.target)\(file), \(words(for: report.backend))",
                    of: report.id)
                for warning in report.warnings { invocation.log("warning: \(warning)", of: report.id) }
            }
            return report
        } catch {
            if !request.dryRun { invocation.logFailure("attach to \(request.target): \(error)", of: request.id) }
            throw error
        }
    }

    private static func attachRequest(_ invocation: Invocation) throws -> AttachRequest {
        let arguments = invocation.arguments
        let word = try invocation.argument("CONFIG")
        guard let target = try invocation.target() else {
            throw UsageError("a target is missing: --netns PATH|NAME, --pid PID or --container ID")
        }
        var request = AttachRequest(
            configuration: try ConfigurationChoice.source(word), target: target,
            interface: try InterfaceName(arguments[.interface] ?? "wg0"))
        request.id = try arguments[.id].map { (text) throws(TunnelError) in try TunnelID(text) }
        request.engine = try engine(arguments)
        request.mtu = try invocation.number(.mtu)
        request.dns = dns(arguments)
        request.table = arguments[.table]
        request.soleInterface = !arguments.has(.keepInterfaces)
        request.createNamespace = arguments.has(.create)
        request.runHooks = arguments.has(.hooks)
        request.waitSeconds = try waitSeconds(arguments)
        request.dryRun = arguments.has(.dryRun)
        // A terminal's hang-up, or the end of the caller's unit, must not take the tunnel along.
        request.ownControlGroup = !arguments.has(.foreground)
        return request
    }

    static func engine(_ arguments: ParsedArguments) throws(UsageError) -> EngineChoice {
        guard let text = arguments[.engine] else { return .automatic }
        guard let choice = EngineChoice(rawValue: text) else {
            throw UsageError("--engine is one of auto, kernel and userspace, not \"\(printable(text))\"")
        }
        return choice
    }

    /// As `DNS=` has them, or with spaces between them.
    static func dns(_ arguments: ParsedArguments) -> [String]? {
        arguments[.dns]?.split { $0 == "," || $0 == " " }.map(String.init)
    }

    /// Nil: do not wait.
    static func waitSeconds(_ arguments: ParsedArguments) throws(UsageError) -> Double? {
        guard let text = arguments[.wait], !arguments.has(.noWait) else { return nil }
        if text.isEmpty { return RunRequest.defaultWaitSeconds }
        guard let seconds = Double(text), seconds > 0, seconds < 86400 else {
            throw UsageError("--wait takes seconds, not \"\(printable(text))\"")
        }
        return seconds
    }

    private static func show(_ report: AttachReport, _ request: AttachRequest, _ output: Output) throws {
        for warning in report.warnings { output.warning(warning) }
        for notice in report.notices { output.notice(notice) }
        if output.isJSON { return try output.json(AttachDocument(report, dryRun: request.dryRun)) }
        if output.isQuiet { return }
        let reason = report.backendReason.map { ", because \($0)" } ?? ""
        let verb = request.dryRun ? "would attach" : "attached"
        output.line("\(verb) \(report.id): \(report.interface) in \(request.target)")
        output.line("  backend    \(words(for: report.backend))\(reason)")
        output.line("  addresses  \(report.addresses.map(\.description).joined(separator: ", "))")
        output.line("  routes     \(report.routes.map(\.description).joined(separator: ", "))")
        output.line("  mtu        \(report.mtu)")
        if !report.dnsServers.isEmpty {
            output.line("  dns        \(report.dnsServers.map(\.description).joined(separator: ", "))")
        }
        if let seconds = report.handshakeSeconds {
            output.line("  handshake  after \(Int(seconds * 1000)) ms")
        }
    }
}

extension Verb {
    static func words(for backend: BackendKind) -> String {
        switch backend {
        case .kernel: "the kernel's WireGuard"
        case .userspace: "our engine in userspace"
        }
    }
}

/// What `attach --json` prints.
struct AttachDocument: Encodable {
    let id: String
    let interface: String
    /// `kernel` or `userspace`.
    let backend: String
    let backendReason: String?
    let publicKey: String
    let configuration: String?
    let addresses: [String]
    let routes: [String]
    let mtu: Int
    let dns: [String]
    let searchDomains: [String]
    let netns: String?
    let enginePID: Int32?
    let uapiSocket: String?
    /// Seconds.
    let handshakeAfter: Double?
    let dryRun: Bool
    let warnings: [String]
    let notices: [String]

    init(_ report: AttachReport, dryRun: Bool) {
        id = report.id.text
        interface = report.interface.text
        backend = report.backend.rawValue
        backendReason = report.backendReason
        publicKey = report.publicKey.base64
        configuration = report.configurationPath
        addresses = report.addresses.map(\.description)
        routes = report.routes.map(\.description)
        mtu = report.mtu
        dns = report.dnsServers.map(\.description)
        searchDomains = report.searchDomains
        netns = report.namespacePath
        enginePID = report.engine?.pid
        uapiSocket = report.uapiSocketPath
        handshakeAfter = report.handshakeSeconds
        self.dryRun = dryRun
        warnings = report.warnings
        notices = report.notices
    }
}
