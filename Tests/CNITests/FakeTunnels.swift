import Glibc
import IPAddressing
import JSON
import LinuxSystem
import PluginSupport
import Synchronization
import WireGuardCrypto

@testable import CNI
@testable import Tunnels

/// A double of `TunnelKeeper` that keeps its tunnels in memory: for what the plugin decides by itself.
final class FakeTunnels: TunnelService {
    struct State {
        var attached: [TunnelID: AttachRequest] = [:]
        var failure: TunnelError?
        var readiness: [TunnelError] = []
        var findings: [CheckFinding] = []
        var pool = PoolStatus(total: 2, free: 1, unusable: [])
        var phases: [TunnelID: TunnelSummary.Phase] = [:]
        var detachErrors: [TunnelError] = []
        var fileAddresses = ["10.7.0.2/32"]
        var fileDNS = ["10.7.0.1"]
        var recordFailure = TunnelError(.notFound, "no such tunnel")
    }

    let state = Mutex(State())

    func attach(_ request: AttachRequest) throws(TunnelError) -> AttachReport {
        try request.addressSource?.begin()
        if let failure = state.withLock({ $0.failure }) { throw failure }
        guard let owner = request.owner, let key = PublicKey(bytes: [UInt8](repeating: 1, count: 32)) else {
            throw TunnelError(.usage, "no owner")
        }
        var request = request
        if let source = request.addressSource { request.addresses = try source.addresses() }
        let kept = request
        let file = state.withLock { state in
            state.attached[owner.tunnelID] = kept
            return (addresses: state.fileAddresses, dns: state.fileDNS)
        }
        return AttachReport(
            id: owner.tunnelID, interface: request.interface, backend: .userspace, publicKey: key,
            addresses: request.addresses ?? file.addresses.compactMap { InterfaceAddress($0) },
            routes: [.everythingIPv4],
            mtu: 1420, dnsServers: (request.dns ?? file.dns).compactMap { IPAddress($0) }, searchDomains: [],
            warnings: [],
            notices: [])
    }

    func detach(_ id: TunnelID) throws(TunnelError) -> TeardownReport {
        var report = TeardownReport()
        state.withLock {
            if $0.attached.removeValue(forKey: id) != nil { report.removed = [id] }
            report.errors = $0.detachErrors
        }
        return report
    }

    func collect(runtime: String, network: String, keep: Set<Attachment>) throws(TunnelError) -> TeardownReport {
        var report = TeardownReport()
        state.withLock { state in
            for (id, request) in state.attached {
                guard let owner = request.owner, owner.runtime == runtime, owner.network == network,
                    !keep.contains(Attachment(containerID: owner.containerID, interface: owner.interface))
                else { continue }
                state.attached[id] = nil
                report.removed.append(id)
            }
        }
        return report
    }

    func list() throws(TunnelError) -> [TunnelSummary] {
        state.withLock { state in
            state.attached.compactMap { id, request in
                guard let key = PublicKey(bytes: [UInt8](repeating: 1, count: 32)) else { return nil }
                return TunnelSummary(
                    id: id, phase: state.phases[id] ?? .attached, interface: request.interface.text,
                    backend: .userspace,
                    publicKey: key, owner: request.owner, configurationPath: nil, target: "", namespacePath: nil,
                    engine: nil,
                    engineVersion: nil, lastHandshake: nil, attachedAt: .now)
            }
        }
    }

    func check(_ record: TunnelRecord, expecting expected: ExpectedNetwork?) throws(TunnelError) -> [CheckFinding] {
        state.withLock { $0.findings }
    }

    func record(_ id: TunnelID) throws(TunnelError) -> TunnelRecord {
        throw state.withLock { $0.recordFailure }
    }

    func readiness(_ engine: EngineChoice) -> [TunnelError] { state.withLock { $0.readiness } }
    func poolStatus(directory: String) throws(TunnelError) -> PoolStatus { state.withLock { $0.pool } }
}

/// A folder of programs for CNI_PATH, with a log of what was asked of them.
final class DelegateFolder {
    let path = "/tmp/swg-cni-tests-\(getpid())-\(UInt32.random(in: 0 ... .max))"

    init() throws { try File.makeDirectories(path) }

    deinit {
        for name in (try? File.list(path)) ?? [] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// A shell script; `$log` is the log.
    func add(_ name: String, _ script: String) throws {
        try File.replace("\(path)/\(name)", with: "#!/bin/sh\nlog=\(path)/log\n\(script)\n", mode: 0o755)
    }

    /// An IPAM plugin that works and logs its verbs.
    func addWorking(_ name: String = "fake-ipam") throws {
        try add(
            name,
            """
            cat > \(path)/input.$CNI_COMMAND; echo "$CNI_COMMAND $CNI_CONTAINERID" >> $log
            [ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.5/24","gateway":"10.9.0.1"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{}}'
            exit 0
            """)
    }

    var log: [String] { ((try? File.readText("\(path)/log")) ?? "").split(separator: "\n").map(String.init) }
}

func makeCall(
    _ verb: Verb, _ input: [UInt8], _ tunnels: FakeTunnels, path: String = "/nowhere", container: String = "c1",
    netns: String = "/run/netns/none", arguments: String = "", more: [String: String] = [:]
) throws -> PluginCall {
    let usual = [
        "CNI_COMMAND": verb.rawValue, "CNI_CONTAINERID": container, "CNI_NETNS": netns, "CNI_IFNAME": "eth0",
        "CNI_PATH": path,
        "CNI_ARGS": arguments, "PATH": "/usr/bin:/bin",
    ]
    let variables = usual.merging(more) { $1 }
    return PluginCall(
        environment: try PluginEnvironment(variables), variables: EnvironmentVariables(variables), input: input,
        tunnels: { _ in tunnels },
        log: { _ in })
}

extension EnvironmentVariables {
    init(_ values: [String: String]) { self.init(entries: values.map { "\($0.key)=\($0.value)" }) }
}

extension PluginEnvironment {
    init(_ values: [String: String]) throws(PluginError) { try self.init(EnvironmentVariables(values)) }
}
