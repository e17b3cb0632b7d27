import IPAddressing
import LinuxSystem
import Netlink

/// What has to be there for a tunnel to be as its user left it.
public struct ExpectedNetwork: Sendable {
    /// On the tunnel's interface.
    public var addresses: [InterfaceAddress]
    /// Those that `attach` made lead into the tunnel, others only have to be there.
    public var routes: [IPPrefix]

    public init(addresses: [InterfaceAddress], routes: [IPPrefix]) {
        self.addresses = addresses
        self.routes = routes
    }

    init(_ record: TunnelRecord) {
        addresses = record.addresses.compactMap { InterfaceAddress($0) }
        routes = record.routes.compactMap { IPPrefix($0) }
    }
}

extension TunnelKeeper {
    /// What attach put on the interface is still there: its addresses, and the routes that lead into the tunnel; or
    /// what is expected instead. More may have been added since; that is the user's business, or P1's.
    func checkAddresses(
        _ record: TunnelRecord, _ expected: ExpectedNetwork?, _ target: TargetNetwork, _ links: [Link],
        _ routes: [Route]
    ) throws(SystemError) -> [CheckFinding] {
        guard let link = links.first(where: { $0.name == record.interface }) else { return [] }
        let made = ExpectedNetwork(record)
        let wanted = expected ?? made
        let present = try target.netlink.addresses(linkIndex: link.index).map(\.address)
        let missingAddresses = wanted.addresses.filter { wanted in
            !present.contains { $0.address == wanted.address && $0.length == wanted.length }
        }
        let through = Set(routes.filter { $0.linkIndexes.contains(link.index) }.map(\.destination))
        let anywhere = Set(routes.map(\.destination))
        let ours = Set(made.routes)
        let missingRoutes = wanted.routes.filter {
            !through.contains($0) && (ours.contains($0) || !anywhere.contains($0))
        }
        return [
            finding("addresses", wanted.addresses, missingAddresses, record),
            finding("routes", wanted.routes, missingRoutes, record),
        ]
    }

    private func finding(
        _ what: String, _ all: [some CustomStringConvertible], _ missing: [some CustomStringConvertible],
        _ record: TunnelRecord
    ) -> CheckFinding {
        guard missing.isEmpty else {
            let list = missing.map(\.description).joined(separator: ", ")
            return .init(.violated, "live", "\(what) missing on \(record.interface): \(list)")
        }
        return .init(.proven, "live", "\(what) on \(record.interface): \(all.count) of \(all.count) in place")
    }
}
