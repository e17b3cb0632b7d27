import LinuxSystem
import Tunnels
import WireGuardCrypto
import WireGuardModel

extension Verb {
    static let list = Verb(
        name: "list", synopsis: "[--json]", summary: "What is attached, by which backend, and how it is.",
        maximumPositional: 0
    ) { invocation in
        let tunnels = try invocation.keeper.list()
        let unreadable = try invocation.keeper.unreadable()
        for error in unreadable { invocation.output.error(error.description) }
        let status: Int32 = unreadable.isEmpty ? 0 : 1
        if invocation.output.isJSON {
            try invocation.output.json(ListDocument(tunnels: tunnels.map(TunnelDocument.init)))
            return status
        }
        guard !tunnels.isEmpty else {
            invocation.output.notice("no tunnels")
            return status
        }
        var rows = [["ID", "STATE", "BACKEND", "INTERFACE", "HANDSHAKE", "TARGET"]]
        for tunnel in tunnels {
            rows.append([
                tunnel.id.text, tunnel.phase.rawValue,
                tunnel.backend.rawValue + (tunnel.engineVersion.map { " \($0)" } ?? ""), tunnel.interface,
                tunnel.lastHandshake.map { WgShow.ago($0) } ?? "none", label(tunnel),
            ])
        }
        for line in table(rows) { invocation.output.line(line) }
        return status
    }

    private static func label(_ tunnel: TunnelSummary) -> String {
        guard let owner = tunnel.owner else { return tunnel.target }
        if let pod = owner.podName { return "pod \(owner.podNamespace ?? "default")/\(pod)" }
        return "container \(owner.containerName ?? String(owner.containerID.prefix(12)))"
    }

    /// Columns as wide as their widest word; the last one ends where it ends.
    static func table(_ rows: [[String]]) -> [String] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { $0 == count - 1 ? $1 : Help.pad($1, widths[$0]) }.joined(separator: "  ")
        }
    }
}

/// What `list --json` prints.
struct ListDocument: Encodable {
    let tunnels: [TunnelDocument]
}

struct TunnelDocument: Encodable {
    struct OwnerDocument: Encodable {
        let runtime: String
        let network: String
        let containerID: String
        let interface: String
        let podNamespace: String?
        let podName: String?
        let containerName: String?
    }

    let id: String
    /// `attaching`, `attached`, `detaching`, `broken` or `orphaned`.
    let state: String
    let interface: String
    /// `kernel` or `userspace`.
    let backend: String
    let publicKey: String
    let configuration: String?
    let target: String
    let netns: String?
    let enginePID: Int32?
    let engineVersion: String?
    /// Seconds since 1970.
    let lastHandshake: Int64?
    let attachedAt: Int64
    let owner: OwnerDocument?

    init(_ tunnel: TunnelSummary) {
        id = tunnel.id.text
        state = tunnel.phase.rawValue
        interface = tunnel.interface
        backend = tunnel.backend.rawValue
        publicKey = tunnel.publicKey.base64
        configuration = tunnel.configurationPath
        target = tunnel.target
        netns = tunnel.namespacePath
        enginePID = tunnel.engine?.pid
        engineVersion = tunnel.engineVersion
        lastHandshake = tunnel.lastHandshake?.seconds
        attachedAt = tunnel.attachedAt.seconds
        owner = tunnel.owner.map {
            OwnerDocument(
                runtime: $0.runtime, network: $0.network, containerID: $0.containerID, interface: $0.interface,
                podNamespace: $0.podNamespace, podName: $0.podName, containerName: $0.containerName)
        }
    }
}
