import IPAddressing
import LinuxSystem
import Netlink

extension TunnelKeeper {
    /// What attach put on the interface is still there: its addresses, its MTU, and the routes that lead into the
    /// tunnel. Others may have been added since; that is the user's business, or P1's.
    func checkAddresses(_ record: TunnelRecord, _ target: TargetNetwork) throws(SystemError) -> [CheckFinding] {
        guard let link = try target.netlink.links().first(where: { $0.name == record.interface }) else { return [] }
        let present = try target.netlink.addresses(linkIndex: link.index).map(\.address)
        let missingAddresses = record.addresses.filter { text in
            guard let wanted = InterfaceAddress(text) else { return false }
            return !present.contains { $0.address == wanted.address && $0.length == wanted.length }
        }
        let through = try target.netlink.routes().filter { $0.linkIndexes.contains(link.index) }.map(\.destination)
        let missingRoutes = record.routes.filter { text in IPPrefix(text).map { !through.contains($0) } ?? false }
        return [
            finding("addresses", record.addresses, missingAddresses, record),
            finding("routes", record.routes, missingRoutes, record),
        ]
    }

    private func finding(_ what: String, _ all: [String], _ missing: [String], _ record: TunnelRecord) -> CheckFinding {
        guard missing.isEmpty else {
            return .init(
                .violated, "live", "\(what) missing on \(record.interface): \(missing.joined(separator: ", "))")
        }
        return .init(.proven, "live", "\(what) on \(record.interface): \(all.count) of \(all.count) in place")
    }
}
