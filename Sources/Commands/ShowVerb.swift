import Glibc
import IPAddressing
import LinuxSystem
import Tunnels
import WireGuardCrypto
import WireGuardModel

extension Verb {
    static let show = Verb(
        name: "show", synopsis: "[TUNNEL | TARGET] [--json]",
        summary: "Peers, handshakes and transfer, as wg show has them, and who lives where.", options: Option.targets
    ) { invocation in
        let isNamed = try !invocation.arguments.positional.isEmpty || invocation.target() != nil
        let ids = isNamed ? try invocation.tunnels() : try invocation.keeper.list().map(\.id)
        var shown: [ShownTunnel] = []
        var failures = 0
        for id in ids {
            do {
                shown.append(try ShownTunnel(id, invocation.keeper))
            } catch {
                failures += 1
                invocation.output.error("\(id): \(error)")
            }
        }
        if invocation.output.isJSON {
            try invocation.output.json(ShowDocument(tunnels: shown.map(ShownTunnelDocument.init)))
        } else {
            try print(shown)
        }
        return failures > 0 ? 1 : 0
    }

    /// Through locked memory: WG_HIDE_KEYS=never shows keys, as with wg(8).
    private static func print(_ shown: [ShownTunnel]) throws {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        let showsKeys = variable("WG_HIDE_KEYS") == "never"
        let style = TerminalStyle.chosen(
            colourMode: variable("WG_COLOR_MODE"), noColour: variable("NO_COLOR"), isTerminal: isatty(1) == 1)
        var text = SecretText()
        for (index, tunnel) in shown.enumerated() {
            if index > 0 { text.append("\n") }
            text.append(
                wgShow: tunnel.status, interface: tunnel.record.interface, showsKeys: showsKeys, notes: tunnel.notes,
                style: style)
        }
        do throws(SystemError) {
            try text.withBytes { (bytes) throws(SystemError) in try writeAll(bytes, to: 1, object: "standard output") }
        } catch {
            // As everywhere: a reader that went away is no error of ours.
            guard error.errno.rawValue == EPIPE else { throw error }
        }
    }
}

/// A tunnel with its device asked now.
struct ShownTunnel {
    let id: TunnelID
    let record: TunnelRecord
    let status: DeviceStatus

    init(_ id: TunnelID, _ keeper: TunnelKeeper) throws {
        self.id = id
        record = try keeper.record(id)
        status = try keeper.status(of: record)
    }

    /// What wg(8) does not know: where the device and where the socket live.
    var notes: [(label: String, text: String)] {
        var notes = [("tunnel", id.text), ("device", "in \(record.target)")]
        if let engine = record.engineProcess {
            let version = record.engineVersion.map { " \($0)" } ?? ""
            notes.append(
                (
                    "socket",
                    "outside, of engine\(version) (process \(engine.pid)); it keeps its namespace alive while it runs"
                ))
        } else {
            notes.append(("socket", "outside, of the kernel's driver"))
        }
        notes.append(("mtu", "\(record.mtu)"))
        if !record.dnsServers.isEmpty { notes.append(("dns", record.dnsServers.joined(separator: ", "))) }
        return notes
    }
}

/// What `show --json` prints. Keys in it are public ones.
struct ShowDocument: Encodable {
    let tunnels: [ShownTunnelDocument]
}

struct ShownTunnelDocument: Encodable {
    struct Peer: Encodable {
        let publicKey: String
        let hasPresharedKey: Bool
        let endpoint: String?
        let allowedIPs: [String]
        /// Seconds since 1970; null before the first.
        let lastHandshake: Int64?
        let receivedBytes: UInt64
        let sentBytes: UInt64
        /// Seconds; 0 is off.
        let persistentKeepalive: UInt16
    }

    let id: String
    let interface: String
    let backend: String
    let publicKey: String
    let listenPort: UInt16
    let fwmark: UInt32
    let mtu: Int
    let addresses: [String]
    let routes: [String]
    let dns: [String]
    let searchDomains: [String]
    let table: String
    let soleInterface: Bool
    let target: String
    let netns: String?
    let enginePID: Int32?
    let engineVersion: String?
    let uapiSocket: String?
    let configuration: String?
    let attachedAt: Int64
    let peers: [Peer]

    init(_ tunnel: ShownTunnel) {
        let record = tunnel.record
        let device = tunnel.status.configuration
        id = tunnel.id.text
        interface = record.interface
        backend = record.backend.rawValue
        publicKey = record.publicKey
        listenPort = device.listenPort
        fwmark = device.firewallMark
        mtu = record.mtu
        addresses = record.addresses
        routes = record.routes
        dns = record.dnsServers
        searchDomains = record.searchDomains
        table = record.table
        soleInterface = record.soleInterface
        target = record.target
        netns = record.namespacePath
        enginePID = record.engineProcess?.pid
        engineVersion = record.engineVersion
        uapiSocket = record.uapiSocketPath
        configuration = record.configurationPath
        attachedAt = record.attachedAt
        peers = device.peers.map { peer in
            let status = tunnel.status.peers[peer.publicKey]
            return Peer(
                publicKey: peer.publicKey.base64, hasPresharedKey: peer.presharedKey != nil,
                endpoint: peer.endpoint?.description, allowedIPs: peer.allowedIPs.map(\.description),
                lastHandshake: status?.lastHandshake?.seconds, receivedBytes: status?.receivedBytes ?? 0,
                sentBytes: status?.sentBytes ?? 0, persistentKeepalive: peer.persistentKeepaliveSeconds)
        }
    }
}
