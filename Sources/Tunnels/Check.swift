import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto
import WireGuardModel

extension TunnelKeeper {
    /// Proves P1 to P3 for one tunnel on the live system, one finding per line. Nothing is taken from the state
    /// but where to look.
    ///
    /// - Parameter expected: what has to be on the interface; nil is what `attach` put there.
    /// - Throws: when it cannot look at all.
    public func check(
        _ record: TunnelRecord, expecting expected: ExpectedNetwork? = nil
    ) throws(TunnelError) -> [CheckFinding] {
        guard let target = try TargetNetwork.open(record.namespace) else {
            return [.init(.violated, "live", "the network namespace is gone (swg-ns gc cleans up)")]
        }
        do throws(SystemError) {
            let links = try target.netlink.links()
            let routes = try target.netlink.routes()
            // An engine has to wake up for it, and answers beside what follows; not beside the routes, which may be a
            // million: it waits five seconds for the reader of a long answer.
            let question = Result { () throws(TunnelError) in try liveDevice(record, inside: target).askStatus() }
            var findings = try checkInterfaces(record, target, links, routes)
            findings += try checkAddresses(record, expected, target, links, routes)
            findings += record.engineProcess.map { checkEngine($0, record) } ?? [Self.kernelSocket(record)]
            findings += checkDevice(record, question)
            findings += checkFiles(record)
            return findings
        } catch {
            throw TunnelError(error, doing: "looking into \(record.target)")
        }
    }

    /// P1: interfaces, routes of every table and family, rules.
    private func checkInterfaces(
        _ record: TunnelRecord, _ target: TargetNetwork, _ links: [Link], _ routes: [Route]
    ) throws(SystemError) -> [CheckFinding] {
        var findings: [CheckFinding] = []
        let own = links.first { $0.name == record.interface && $0.kind == record.linkKind }
        if let own {
            findings.append(
                .init(
                    own.isUp ? .proven : .violated, "live",
                    "\(own.name) (\(record.linkKind)) is \(own.isUp ? "up" : "down")"))
        } else {
            findings.append(
                .init(
                    .violated, "live",
                    "there is no interface \(record.interface) of kind \(record.linkKind): swg-ns repair"))
        }
        let others = links.filter { !$0.isLoopback && !$0.isKernelFallback && $0.index != own?.index }.map(\.name)
        if others.isEmpty {
            findings.append(
                .init(
                    .proven, "P1",
                    own == nil ? "interfaces: lo, nothing else" : "interfaces: lo and \(record.interface), nothing else"
                ))
        } else {
            let verdict: CheckFinding.Verdict = record.soleInterface ? .violated : .note
            let reason = record.soleInterface ? "" : ", allowed by --keep-interfaces: not the only way out"
            findings.append(.init(verdict, "P1", "other interfaces: \(others.joined(separator: ", "))\(reason)"))
        }
        let fallbacks = links.filter(\.isKernelFallback).map(\.name)
        if !fallbacks.isEmpty {
            findings.append(
                .init(.note, "P1", "the kernel's fallback devices, all down: \(fallbacks.joined(separator: ", "))"))
        }
        let inside = Set(links.filter { $0.isLoopback || $0.index == own?.index }.map(\.index))
        let elsewhere = routes.filter { route in route.linkIndexes.contains { !inside.contains($0) } }
        let tables = Set(routes.map(\.table)).count
        if elsewhere.isEmpty {
            findings.append(
                .init(
                    .proven, "P1",
                    "routes: all \(routes.count) in \(tables) tables of both families stay on lo and \(record.interface)"
                ))
        } else {
            let list = elsewhere.prefix(5).map { "\($0.destination) table \($0.table)" }.joined(separator: ", ")
            findings.append(.init(record.soleInterface ? .violated : .note, "P1", "routes elsewhere: \(list)"))
        }
        let rules = try target.netlink.rules().filter { !$0.isDefault }
        findings.append(
            rules.isEmpty
                ? .init(.proven, "P1", "rules: the kernel's own, none added")
                : .init(.note, "P1", "\(rules.count) routing rules were added: they choose among the routes above"))
        return findings
    }

    private static func kernelSocket(_ record: TunnelRecord) -> CheckFinding {
        .init(
            .note, "P2",
            "the kernel's socket was made in net:[\(record.birthplace.inode)]; it has no descriptor to look at")
    }

    /// The engine lives; P2: where its UDP sockets are; P3: what it may do.
    private func checkEngine(_ engine: ProcessIdentity, _ record: TunnelRecord) -> [CheckFinding] {
        let home: CheckFinding
        do throws(NamespaceError) {
            let namespace = try NetworkNamespace.open(process: engine, allowOwn: true)
            let isHome = record.birthplace.matches(namespace)
            home = .init(
                isHome ? .proven : .violated, "P2",
                "the engine and its UDP sockets are in net:[\(namespace.identity.inode)], \(isHome ? "the birthplace" : "not the birthplace")"
            )
        } catch {
            guard engine.isAlive else {
                return [
                    .init(.violated, "live", "the engine (process \(engine.pid)) is dead: swg-ns repair \(record.id)")
                ]
            }
            home = .init(.unknown, "P2", "the engine's namespace cannot be seen: run as root")
        }
        return [.init(.proven, "live", "the engine lives (process \(engine.pid))"), home]
            + EngineInspection.check(engine, record)
    }

    /// The device answers, and when the last handshake was.
    private func checkDevice(
        _ record: TunnelRecord, _ question: consuming Result<PendingStatus, TunnelError>
    ) -> [CheckFinding] {
        do throws(TunnelError) {
            let status = try question.get().status()
            guard status.configuration.privateKey?.publicKey.base64 == record.publicKey else {
                return [.init(.violated, "live", "the device has another key than the one it was made with")]
            }
            let last = status.peers.values.compactMap(\.lastHandshake).max { $0.seconds < $1.seconds }
            let text = last.map { "last handshake: \(WgShow.ago($0))" } ?? "no handshake yet"
            let count = status.configuration.peers.count
            return [.init(.note, "live", "\(count) \(count == 1 ? "peer" : "peers"), \(text)")]
        } catch {
            return [.init(.violated, "live", error.description)]
        }
    }

    /// P3: what is on disk.
    private func checkFiles(_ record: TunnelRecord) -> [CheckFinding] {
        var findings: [CheckFinding] = []
        if record.backend == .kernel {
            findings.append(
                .init(
                    .note, "P3",
                    "a process with CAP_NET_ADMIN inside can read a kernel device's private key; the engine keeps it outside"
                ))
        }
        var status = stat()
        for path in record.filesWithKeys where stat(path, &status) == 0 {
            let open = status.st_mode & 0o004 != 0
            findings.append(
                .init(
                    open ? .note : .proven, "P3",
                    open
                        ? "\(path) is readable by everybody: chmod 600 \(path)" : "\(path) is not readable by everybody"
                ))
        }
        return findings
    }
}

extension TunnelRecord {
    /// Kind of the interface as rtnetlink names it.
    var linkKind: String { backend == .kernel ? "wireguard" : "tun" }
}

extension CheckFinding {
    init(_ verdict: Verdict, _ promise: String, _ text: String) {
        self.verdict = verdict
        self.promise = promise
        self.text = text
    }
}
