import CLinux
import CMnl
import Glibc
import IPAddressing
import LinuxSystem

/// A rule that chooses the table. ip-rule(8).
public struct RoutingRule: Hashable, Sendable {
    public enum Family: Hashable, Sendable { case ipv4, ipv6 }

    public var family: Family
    public var priority: UInt32 = 0
    /// FR_ACT_*: 1 looks in the table, 6 blackhole, 7 unreachable, 8 prohibit.
    public var action: UInt8 = 1
    public var table: UInt32
    public var mark: UInt32?
    public var markMask: UInt32?
    public var source: IPPrefix?
    public var destination: IPPrefix?
    public var inputInterface: String?
    public var outputInterface: String?
    /// `not`
    public var inverted = false
    /// `suppress_prefixlength`: ignore answers with prefixes this long or shorter.
    public var suppressPrefixLength: UInt32?

    public init(family: Family, table: UInt32) {
        self.family = family
        self.table = table
    }

    init?(_ reply: NetlinkReply) {
        guard reply.type == RTM_NEWRULE, let header = reply.header(fib_rule_hdr.self) else { return nil }
        switch Int32(header.family) {
        case AF_INET: family = .ipv4
        case AF_INET6: family = .ipv6
        default: return nil
        }
        table = UInt32(header.table)
        action = header.action
        inverted = header.flags & UInt32(FIB_RULE_INVERT) != 0
        for attribute in reply.attributes(after: fib_rule_hdr.self) {
            switch attribute.type {
            case Int(FRA_PRIORITY): priority = attribute.u32 ?? 0
            case Int(FRA_TABLE): table = attribute.u32 ?? table
            case Int(FRA_FWMARK): mark = attribute.u32
            case Int(FRA_FWMASK): markMask = attribute.u32
            case Int(FRA_IIFNAME): inputInterface = attribute.text
            case Int(FRA_OIFNAME): outputInterface = attribute.text
            case Int(FRA_SRC): source = attribute.address.flatMap { IPPrefix(masking: $0, length: header.src_len) }
            case Int(FRA_DST): destination = attribute.address.flatMap { IPPrefix(masking: $0, length: header.dst_len) }
            case Int(FRA_SUPPRESS_PREFIXLEN):
                // All ones stand for "none".
                suppressPrefixLength = attribute.u32.flatMap { $0 == .max ? nil : $0 }
            default: break
            }
        }
    }

    /// One of the three (two for IPv6) that every namespace begins with.
    public var isDefault: Bool {
        var plain = RoutingRule(family: family, table: table)
        plain.priority = priority
        guard plain == self else { return false }
        switch (priority, table) {
        case (0, Route.localTable), (32766, Route.mainTable): return true
        case (32767, 253): return family == .ipv4
        default: return false
        }
    }
}

extension RouteNetlink {
    /// `ip rule show; ip -6 rule show`
    public func rules() throws(SystemError) -> [RoutingRule] {
        var all: [RoutingRule] = []
        for family in [RoutingRule.Family.ipv4, .ipv6] {
            var message = NetlinkMessage("RTM_GETRULE", "all rules", type: RTM_GETRULE, flags: 0)
            var header = fib_rule_hdr()
            header.family = family.number
            message.putHeader(header)
            do throws(SystemError) {
                all += try socket.dump(message) { reply in RoutingRule(reply).flatMap { $0.family == family ? $0 : nil }
                }
            } catch {
                // A kernel without policy routing has none.
                guard error.errno.rawValue == EOPNOTSUPP || error.errno.rawValue == EAFNOSUPPORT else { throw error }
            }
        }
        return all
    }
}

extension RoutingRule.Family {
    var number: UInt8 { self == .ipv4 ? UInt8(AF_INET) : UInt8(AF_INET6) }
}
