import Glibc
import IPAddressing
import LinuxSystem
import Netlink

/// What a tunnel's interface needs inside its namespace. `attach` calls it from outside over a socket of the
/// target, `run` from the inside.
enum InterfaceSetup {
    /// `lo` up, addresses, MTU, up, routes: in this order, so that no packet can leave before everything is set.
    static func configure(_ link: Link, _ plan: TunnelPlan, over netlink: RouteNetlink) throws(SystemError) {
        if let loopback = try netlink.link(named: "lo"), !loopback.isUp {
            try netlink.setLink(loopback.index, up: true)
        }
        for address in plan.addresses { try addAddress(address, link, over: netlink) }
        if link.mtu != plan.mtu { try netlink.setLink(link.index, mtu: plan.mtu) }
        try netlink.setLink(link.index, up: true)
        try addRoutes(plan.routes, link, table: plan.table.number, over: netlink)
    }

    /// One that is there already stays as it is: a file may name it twice.
    static func addAddress(
        _ address: InterfaceAddress, _ link: Link, over netlink: RouteNetlink
    ) throws(SystemError) {
        do throws(SystemError) {
            try netlink.addAddress(address, linkIndex: link.index)
        } catch {
            guard error.errno.rawValue == EEXIST else { throw error }
        }
    }

    /// One of this interface that is there already will do: the kernel makes the same from an address. Another
    /// interface's would be the way past the tunnel.
    static func addRoutes(
        _ prefixes: [IPPrefix], _ link: Link, table: UInt32, over netlink: RouteNetlink
    ) throws(SystemError) {
        // Read once, when it is needed: there may be a hundred thousand.
        var existing: Set<IPPrefix>?
        for prefix in prefixes {
            do throws(SystemError) {
                try netlink.addRoute(Route(to: prefix, linkIndex: link.index, table: table))
            } catch {
                guard error.errno.rawValue == EEXIST else { throw error }
                if existing == nil { existing = try own(link, table: table, over: netlink) }
                guard existing?.contains(prefix) != true else { continue }
                throw error.explained(
                    "another interface has that route already: leave it out of AllowedIPs=, or use Table=off")
            }
        }
    }

    private static func own(
        _ link: Link, table: UInt32, over netlink: RouteNetlink
    ) throws(SystemError) -> Set<IPPrefix> {
        Set(
            try netlink.routes().filter { $0.table == table && $0.linkIndexes.contains(link.index) }
                .map(\.destination))
    }

    /// Only under `conf/IFNAME`, of the calling thread's namespace: they vanish with the interface. Nobody on the
    /// other side of a tunnel may redirect us or give us addresses; and the interface has no address but the
    /// configured ones.
    ///
    /// - Returns: what could not be set because /proc/sys is read-only.
    static func setSysctls(of name: String, ipv6: Bool) throws(SystemError) -> [String] {
        var settings = [
            ("ipv4", "accept_redirects", "0"), ("ipv4", "secure_redirects", "0"), ("ipv4", "send_redirects", "0"),
            ("ipv6", "accept_ra", "0"), ("ipv6", "autoconf", "0"), ("ipv6", "accept_redirects", "0"),
            ("ipv6", "addr_gen_mode", "1"),
        ]
        settings.append(("ipv6", "disable_ipv6", ipv6 ? "0" : "1"))
        var refused: [String] = []
        for (family, key, value) in settings {
            do throws(SystemError) {
                try File.write(value, to: "/proc/sys/net/\(family)/conf/\(name)/\(key)")
            } catch {
                switch error.errno.rawValue {
                // A kernel without IPv6, or without this knob.
                case ENOENT: continue
                case EROFS, EACCES, EPERM: refused.append("\(family).\(key)")
                default: throw error
                }
            }
        }
        return refused
    }
}
