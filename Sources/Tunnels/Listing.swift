import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto
import WireGuardModel

extension TunnelKeeper {
    /// What a tunnel was made of.
    public func record(_ id: TunnelID) throws(TunnelError) -> TunnelRecord {
        guard let record = try StateFile.read(TunnelRecord.self, from: state.record(of: id)) else {
            throw TunnelError.noTunnel(id)
        }
        return record
    }

    /// Every tunnel of this state directory, by id.
    public func list() throws(TunnelError) -> [TunnelSummary] {
        var summaries: [TunnelSummary] = []
        let census = SharedCensus()
        for id in try state.ids() {
            // A tunnel that vanishes meanwhile, or has nothing but a journal yet, has nothing to show.
            guard let record = try? record(id), let key = PublicKey(base64: record.publicKey) else { continue }
            var summary = TunnelSummary(
                id: id, phase: phase(of: id, record, census), interface: record.interface, backend: record.backend,
                publicKey: key, owner: record.owner, configurationPath: record.configurationPath, target: record.target,
                namespacePath: record.namespace.path, engine: record.engineProcess, engineVersion: record.engineVersion,
                lastHandshake: nil, attachedAt: WallTime(seconds: record.attachedAt, nanoseconds: 0))
            if summary.phase == .attached {
                let status = try? self.status(of: record)
                summary.lastHandshake = status?.peers.values.compactMap(\.lastHandshake).max {
                    ($0.seconds, $0.nanoseconds) < ($1.seconds, $1.nanoseconds)
                }
            }
            summaries.append(summary)
        }
        return summaries
    }

    /// Why tunnels that are there are not in `list`: their state is damaged, or may not be read.
    public func unreadable() throws(TunnelError) -> [TunnelError] {
        var errors: [TunnelError] = []
        for id in try state.ids() {
            do throws(TunnelError) {
                _ = try record(id)
            } catch {
                if error.kind != .notFound { errors.append(error) }
            }
        }
        return errors
    }

    /// The device of a live tunnel, asked now.
    public func status(of record: TunnelRecord) throws(TunnelError) -> DeviceStatus {
        if record.backend == .userspace { return try UAPIClient(path: record.uapiSocketPath ?? "").status() }
        return try liveDevice(record, inside: network(of: record)).status()
    }

    /// The namespace of a tunnel, found again and verified.
    func network(
        of record: TunnelRecord, _ census: SharedCensus = SharedCensus()
    ) throws(TunnelError) -> TargetNetwork {
        guard let network = try TargetNetwork.open(record.namespace, census) else {
            throw TunnelError(
                .target, "the network namespace of tunnel \(record.id) is gone", cure: "clean up with swg-ns gc")
        }
        return network
    }

    func phase(
        of id: TunnelID, _ record: TunnelRecord, _ census: SharedCensus = SharedCensus()
    ) -> TunnelSummary.Phase {
        guard let journal = try? StateFile.read(Journal.self, from: state.journal(of: id)) else { return .orphaned }
        if journal.phase != .attached {
            // Whoever works on it holds its lock; without one it is a leftover of a crash.
            let isWorkedOn: Bool
            do throws(TunnelError) {
                isWorkedOn = try tryLock(id) == nil
            } catch {
                isWorkedOn = false
            }
            guard isWorkedOn else { return .orphaned }
            return journal.phase == .attaching ? .attaching : .detaching
        }
        guard (try? journal.isOfThisBoot()) == true else { return .orphaned }
        guard let network = try? network(of: record, census) else { return .orphaned }
        guard (try? network.netlink.link(named: record.interface)) != nil else { return .broken }
        if record.backend == .userspace, record.engineProcess?.isAlive != true { return .broken }
        return .attached
    }

    /// A tunnel by id, unique prefix, container id or name, or `namespace/pod`. A namespace's name is none of these:
    /// it may hold several tunnels, and another tunnel may be called like it. The error tells who lives there.
    ///
    /// - Parameter allowsPrefix: not for verbs that take something down: the second `detach wg0` must not mean
    ///   `wg0-2`.
    public func find(_ text: String, allowsPrefix: Bool = true) throws(TunnelError) -> TunnelID {
        let ids = try state.ids()
        if let exact = ids.first(where: { $0.text == text }) { return exact }
        var matches: [TunnelID] = []
        for id in ids {
            guard !text.isEmpty else { break }
            let record = try? record(id)
            let owner = record?.owner
            let pod = owner.flatMap { owner in owner.podName.map { "\(owner.podNamespace ?? "default")/\($0)" } }
            if (allowsPrefix && id.text.hasPrefix(text)) || owner?.containerID == text || owner?.containerName == text
                || pod == text
                || (allowsPrefix && text.utf8.count >= 8 && owner?.containerID.hasPrefix(text) == true)
            {
                matches.append(id)
            }
        }
        if matches.count == 1 { return matches[0] }
        guard matches.isEmpty else {
            let names = matches.map(\.text).joined(separator: ", ")
            throw TunnelError(
                .usage, "\"\(printable(text))\" fits several tunnels: \(names)", cure: "give one of these ids")
        }
        let inhabitants = try tunnels(inNamespaceNamed: text)
        throw TunnelError(
            .notFound, "there is no tunnel \"\(printable(text))\"",
            cure: inhabitants.isEmpty
                ? "see swg-ns list"
                : "in the namespace of that name is tunnel \(inhabitants.map(\.text).joined(separator: ", "))")
    }

    /// By the name that the namespace was given at attach.
    public func tunnels(inNamespaceNamed name: String) throws(TunnelError) -> [TunnelID] {
        try state.ids().filter { (try? record($0))?.namespace.name == name }
    }

    /// The tunnels in a target: for verbs that take either.
    public func find(in target: Target) throws(TunnelError) -> [TunnelID] {
        guard let network = try resolve(target) else { return [] }
        var found: [TunnelID] = []
        for id in try state.ids() {
            if let record = try? record(id), record.namespace.matches(network.namespace) { found.append(id) }
        }
        return found
    }
}
