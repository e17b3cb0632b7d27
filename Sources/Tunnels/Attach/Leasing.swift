import Glibc
import LinuxSystem
import Netlink
import WireGuardCrypto
import WireGuardModel

extension TunnelKeeper {
    /// Takes the lease of a private key, journalled, or says who has it.
    func lease(
        _ key: PublicKey, for id: TunnelID, configurationPath: String?, interfaceKeys: [PublicKey: String],
        _ journal: inout JournalWriter
    ) throws(TunnelError) {
        if let holder = try tryLease(key, for: id, configurationPath, remember: false, &journal) {
            throw inUse(key, holder)
        }
        if let holder = engineKeys(and: interfaceKeys)[key] {
            throw TunnelError(
                .keyInUse, "the private key of \(key) is in use by \(holder)",
                cure: "two devices with one key take each other's sessions away: stop that one, or use another key")
        }
    }

    /// Nil when the lease is taken, else the live tunnel that has it. A holder that crashed half-way, or whose
    /// namespace is gone, is cleaned up first.
    func tryLease(
        _ key: PublicKey, for id: TunnelID, _ configurationPath: String?, remember: Bool, _ journal: inout JournalWriter
    ) throws(TunnelError) -> TunnelID? {
        let step = UndoStep.releaseLease(key.hex, remember: remember)
        let book = LeaseBook(state: state)
        try journal.willDoUntilTheEnd(step)
        guard let holder = try book.take(key, for: id, configurationPath: configurationPath) else { return nil }
        var report = TeardownReport()
        collectIfAbandoned(holder, &report)
        if report.removed.contains(holder), try book.take(key, for: id, configurationPath: configurationPath) == nil {
            return nil
        }
        try journal.didNotHappen(step)
        return holder
    }

    /// A holder with the container that it belongs to: that is the name its user knows.
    func describe(_ holder: TunnelID) -> String {
        guard let owner = (try? record(holder))?.owner else { return "tunnel \(holder)" }
        let pod = owner.podName.map { "\(owner.podNamespace ?? "default")/\($0)" }
        let container = pod ?? owner.containerName ?? owner.containerID
        return "tunnel \(holder) of container \(printable(container))"
    }

    private func inUse(_ key: PublicKey, _ holder: TunnelID) -> TunnelError {
        TunnelError(
            .keyInUse, "the private key of \(key) is in use by \(describe(holder))",
            cure: "use that one: swg-ns exec \(holder) -- COMMAND; or take it down first: swg-ns detach \(holder)")
    }

    /// The keys of the birthplace's interfaces and of engines that are not ours, and who has them. A kernel device in
    /// another namespace, with a lease in another state directory, is not found: nobody may look into all of them.
    func foreignKeys(_ birthplace: Birthplace) -> [PublicKey: String] {
        engineKeys(and: interfaceKeys(birthplace))
    }

    /// The half of `foreignKeys` that needs the kernel's lock of all network configuration: not to be asked while a
    /// device moves, which holds that lock for 15 ms.
    func interfaceKeys(_ birthplace: Birthplace) -> [PublicKey: String] {
        var holders: [PublicKey: String] = [:]
        let links = (try? birthplace.netlink.links()) ?? []
        let devices = links.filter { $0.kind == "wireguard" }
        if !devices.isEmpty, let netlink = try? WireGuardNetlink() {
            for link in devices {
                guard let key = (try? netlink.device(link.name))?.configuration.privateKey?.publicKey else { continue }
                holders[key] = "the interface \(link.name) of this host"
            }
        }
        return holders
    }

    /// The other half, added to the first.
    func engineKeys(and interfaceKeys: [PublicKey: String]) -> [PublicKey: String] {
        var holders = interfaceKeys
        for file in (try? File.list(UAPISocket.systemDirectory)) ?? [] where file.hasSuffix(".sock") {
            let name = String(file.dropLast(5))
            let path = "\(UAPISocket.systemDirectory)/\(file)"
            // An engine of ours, whose lease was looked at. The file is its, so no other engine has the socket's name.
            if let id = try? TunnelID(name), File.exists(state.engineIdentity(of: id)) { continue }
            let client = UAPIClient(path: path, timeoutMilliseconds: 500)
            guard let key = (try? client.status())?.configuration.privateKey?.publicKey else { continue }
            holders[key] = "the engine of \(printable(name))"
        }
        return holders
    }
}
