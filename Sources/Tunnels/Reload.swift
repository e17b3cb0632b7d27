import IPAddressing
import LinuxSystem
import Netlink
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel

/// What `set` did.
public struct ReloadReport: Sendable {
    public var id: TunnelID
    /// In words, one each; empty when the file says what is there already.
    public var applied: [String] = []
    /// What the file says and a live tunnel cannot take, with what to do.
    public var notApplied: [String] = []
    public var warnings: [String] = []
}

extension TunnelKeeper {
    /// Reloads a tunnel from its file, or another one, by the smallest difference: sessions of unchanged peers
    /// live on. Peers, endpoints, AllowedIPs with their routes, port, mark and addresses are applied.
    ///
    /// - Parameter source: nil is the file it was made from.
    public func reload(_ id: TunnelID, from source: ConfigurationSource?) throws(TunnelError) -> ReloadReport {
        guard let lock = try state.lock(id, wait: true) else { throw TunnelError.noTunnel(id) }
        var record = try record(id)
        let report = try reload(&record, source)
        try StateFile.write(record, to: state.record(of: id))
        _ = consume lock
        return report
    }

    private func reload(_ record: inout TunnelRecord, _ source: ConfigurationSource?) throws(TunnelError)
        -> ReloadReport
    {
        let target = try network(of: record)
        let device = try liveDevice(record, inside: target)
        let live = try device.status().configuration
        let plan = try plan(of: record, from: source, updating: live)
        var report = ReloadReport(id: try TunnelID(record.id))
        report.warnings = plan.warnings
        guard plan.publicKey.base64 == record.publicKey else {
            throw TunnelError(
                .configuration, "the file has another private key than tunnel \(record.id)",
                cure: "a key is leased for a tunnel's life: detach it and attach it again")
        }
        try announce(plan, record)
        let change = DeviceChange.difference(from: live, to: plan.device)
        if !change.isEmpty {
            do throws(TunnelError) {
                try device.apply(change)
            } catch {
                // Nothing inside has been touched yet.
                try? StateFile.write(record, to: state.record(of: try TunnelID(record.id)))
                throw takeBack(device, live, after: error)
            }
            report.applied += ReloadText.describe(change)
        }
        do throws(SystemError) {
            try reloadInterface(&record, plan, target, &report)
        } catch {
            throw TunnelError(error, doing: "reloading \(record.interface)")
        }
        noteRest(record, plan, &report)
        record.isReloading = nil
        record.configurationPath = plan.configurationPath ?? record.configurationPath
        record.secretPaths = Set((record.secretPaths ?? []) + plan.secretPaths).sorted()
        return report
    }

    /// Whatever may soon be on the interface goes into the record first: a `set` that is killed on the way leaves the
    /// next one knowing what to take away (promise P4).
    private func announce(_ plan: TunnelPlan, _ record: TunnelRecord) throws(TunnelError) {
        func all(_ before: [String], _ wanted: [String]) -> [String] {
            let known = Set(before)
            return before + wanted.filter { !known.contains($0) }
        }
        var intended = record
        intended.addresses = all(record.addresses, plan.addresses.map(\.description))
        if record.table == plan.table.description {
            intended.routes = all(record.routes, plan.routes.map(\.description))
        }
        let isSame =
            Set(intended.addresses) == Set(plan.addresses.map(\.description))
            && (record.table != plan.table.description || Set(intended.routes) == Set(plan.routes.map(\.description)))
            && (record.requestedMTU != nil || plan.mtu == UInt32(record.mtu))
        guard !isSame || intended.addresses != record.addresses || intended.routes != record.routes else { return }
        intended.isReloading = true
        try StateFile.write(intended, to: state.record(of: try TunnelID(record.id)))
    }

    /// The driver takes a change in several messages, and what a refused one did before it was refused stays (a mark
    /// is set when the port turns out to be taken): the device goes back to what it was, sessions and all.
    private func takeBack(
        _ device: LiveDevice, _ before: DeviceConfiguration, after error: TunnelError
    ) -> TunnelError {
        var failure = error
        do throws(TunnelError) {
            let change = DeviceChange.difference(from: try device.status().configuration, to: before)
            if !change.isEmpty { try device.apply(change) }
        } catch {
            failure.undoErrors.append(error.description)
        }
        return failure
    }

    /// A plan with the options that the tunnel was made with.
    ///
    /// - Parameter live: nil for a device that will be made anew.
    func plan(
        of record: TunnelRecord, from source: ConfigurationSource? = nil,
        updating live: DeviceConfiguration? = nil
    ) throws(TunnelError) -> TunnelPlan {
        guard let source = source ?? record.configurationPath.map({ .file($0) }) else {
            throw TunnelError(
                .configurationFile, "tunnel \(record.id) was made from a pipe, and keys are kept in no state file",
                cure:
                    "give the configuration once more: swg-ns set \(record.id) CONFIG (a path, or - for standard input)"
            )
        }
        var options = PlanOptions(interface: try InterfaceName(record.interface))
        options.mtu = record.requestedMTU
        options.dns = record.requestedDNS
        options.table = record.requestedTable
        options.addresses = record.requestedAddresses?.compactMap { InterfaceAddress($0) }
        options.isForPlugin = record.owner != nil
        let loaded = try ConfigurationLoader.load(source, options)
        var plan = try Planner.plan(
            loaded, options, birthplace: try Birthplace().netlink, updating: live ?? DeviceConfiguration())
        if live == nil, loaded.configuration.peers.contains(where: \.isIncremental) {
            plan.warnings.append(
                "AllowedIPs with + and - are changes to what a live device has: this one is new and begins without any")
        }
        return plan
    }

    /// Addresses, routes and MTU: the difference between what was made and what is wanted. Each step may find itself
    /// done: an earlier `set` may have failed after it.
    private func reloadInterface(
        _ record: inout TunnelRecord, _ plan: TunnelPlan, _ target: TargetNetwork, _ report: inout ReloadReport
    ) throws(SystemError) {
        guard let link = try target.netlink.link(named: record.interface) else { return }
        // What an earlier one meant to do is in the record, and may not have been done.
        let recovers = record.isReloading == true
        let before = Set(record.addresses.compactMap { InterfaceAddress($0) })
        let removed = before.filter { !plan.addresses.contains($0) }
        record.addresses = (plan.addresses + removed).map(\.description)
        for address in plan.addresses {
            try InterfaceSetup.addAddress(address, link, over: target.netlink)
            if !before.contains(address) { report.applied.append("address \(address) added") }
        }
        for address in removed {
            try target.netlink.deleteAddress(address, linkIndex: link.index)
            report.applied.append("address \(address) removed")
        }
        record.addresses = plan.addresses.map(\.description)
        let takesRoutes = record.table == plan.table.description
        let routesBefore = Set(record.routes.compactMap { IPPrefix($0) })
        if takesRoutes {
            for prefix in plan.routes where !routesBefore.contains(prefix) {
                report.applied.append("route \(prefix) added")
            }
            for prefix in routesBefore where !plan.routes.contains(prefix) {
                try target.netlink.deleteRoute(Route(to: prefix, linkIndex: link.index, table: plan.table.number))
                report.applied.append("route \(prefix) removed")
            }
        }
        // The kernel takes more away than the address it is told to: the others of its subnet when it was the first of
        // them (promote_secondaries is off), and every route of the interface with its last one.
        if !removed.isEmpty {
            for address in plan.addresses { try InterfaceSetup.addAddress(address, link, over: target.netlink) }
        }
        if takesRoutes {
            let missing = plan.routes.filter { recovers || !removed.isEmpty || !routesBefore.contains($0) }
            try InterfaceSetup.addRoutes(missing, link, table: plan.table.number, over: target.netlink)
            record.routes = plan.routes.map(\.description)
        }
        if recovers || plan.mtu != UInt32(record.mtu), record.requestedMTU == nil {
            try target.netlink.setLink(link.index, mtu: plan.mtu)
            if plan.mtu != UInt32(record.mtu) { report.applied.append("mtu \(plan.mtu)") }
            record.mtu = Int(plan.mtu)
        }
    }

    private func noteRest(_ record: TunnelRecord, _ plan: TunnelPlan, _ report: inout ReloadReport) {
        if record.table != plan.table.description {
            report.notApplied.append("Table=\(plan.table): routes stay in table \(record.table); attach again")
        }
        if record.dnsServers != plan.dnsServers.map(\.description) || record.searchDomains != plan.searchDomains {
            report.notApplied.append(
                "DNS=: programs inside read their resolv.conf, which was given to them at their start; attach again")
        }
        if !plan.hooks.isEmpty, record.runHooks {
            report.notApplied.append("hooks: they run at attach and detach only")
        }
    }
}

/// A device change in words.
enum ReloadText {
    static func describe(_ change: DeviceChange) -> [String] {
        var words: [String] = []
        if let port = change.listenPort { words.append("listen port \(port)") }
        if let mark = change.firewallMark { words.append("fwmark \(mark)") }
        if change.privateKey != nil { words.append("private key") }
        for peer in change.peers {
            if peer.remove {
                words.append("peer \(peer.publicKey) removed")
                continue
            }
            var parts: [String] = []
            if peer.presharedKey != nil { parts.append("preshared key") }
            if let endpoint = peer.endpoint { parts.append("endpoint \(endpoint)") }
            if let seconds = peer.persistentKeepaliveSeconds { parts.append("keepalive \(seconds) s") }
            if peer.replaceAllowedIPs || !peer.allowedIPs.isEmpty { parts.append("allowed ips") }
            words.append("peer \(peer.publicKey): \(parts.isEmpty ? "added" : parts.joined(separator: ", "))")
        }
        return words
    }
}
