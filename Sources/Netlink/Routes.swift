import CLinux
import CMnl
import Glibc
import IPAddressing
import LinuxSystem

/// A route of any table. ip-route(8).
public struct Route: Hashable, Sendable {
    /// RTN_*: what happens to packets that match.
    public enum Kind: Hashable, Sendable {
        case unicast, local, broadcast, multicast, anycast, blackhole, unreachable, prohibit
        case other(UInt8)
    }

    public var kind: Kind = .unicast
    public var destination: IPPrefix
    /// The interface; nil for a route that leads nowhere.
    public var linkIndex: Int32?
    /// Every interface of a multipath route, or the one above.
    public var linkIndexes: [Int32] = []
    public var gateway: IPAddress?
    /// 254 is `main`, 255 `local`.
    public var table: UInt32 = Route.mainTable
    public var metric: UInt32?
    /// RT_SCOPE_*.
    public var scope: UInt8 = 0
    public var preferredSource: IPAddress?
    public var mtu: UInt32?
    /// RTPROT_*: who installed it; 2 is the kernel itself.
    public var origin: UInt8 = 0

    public static let mainTable: UInt32 = 254
    public static let localTable: UInt32 = 255

    public init(
        to destination: IPPrefix, linkIndex: Int32, table: UInt32 = Route.mainTable, metric: UInt32? = nil,
        preferredSource: IPAddress? = nil
    ) {
        self.destination = destination
        self.linkIndex = linkIndex
        linkIndexes = [linkIndex]
        self.table = table
        self.metric = metric
        self.preferredSource = preferredSource
        scope = destination.address.isIPv4 ? UInt8(RT_SCOPE_LINK.rawValue) : 0
        origin = UInt8(RTPROT_STATIC)
    }
}

extension Route {
    init?(_ reply: NetlinkReply) {
        guard reply.type == RTM_NEWROUTE, let header = reply.header(rtmsg.self) else { return nil }
        var destination: IPAddress = Int32(header.rtm_family) == AF_INET6 ? .v6(.any) : .v4(.any)
        var route = RouteAttributes(table: UInt32(header.rtm_table))
        for attribute in reply.attributes(after: rtmsg.self) {
            if attribute.type == Int(RTA_DST.rawValue) {
                destination = attribute.address ?? destination
            } else {
                route.read(attribute)
            }
        }
        guard let prefix = IPPrefix(masking: destination, length: header.rtm_dst_len) else { return nil }
        kind = Kind(number: header.rtm_type)
        self.destination = prefix
        linkIndex = route.linkIndex
        linkIndexes = route.nextHops.isEmpty ? route.linkIndex.map { [$0] } ?? [] : route.nextHops
        gateway = route.gateway
        table = route.table
        metric = route.metric
        scope = header.rtm_scope
        preferredSource = route.preferredSource
        mtu = route.mtu
        origin = header.rtm_protocol
    }
}

/// The attributes that a route and the answer to a lookup have in common.
struct RouteAttributes {
    var table: UInt32
    var linkIndex: Int32?
    var nextHops: [Int32] = []
    var gateway: IPAddress?
    var metric: UInt32?
    var preferredSource: IPAddress?
    var mtu: UInt32?

    init(table: UInt32) { self.table = table }

    mutating func read(_ attribute: NetlinkAttribute) {
        switch UInt32(truncatingIfNeeded: attribute.type) {
        case RTA_OIF.rawValue: linkIndex = attribute.i32
        case RTA_GATEWAY.rawValue: gateway = attribute.address
        case RTA_TABLE.rawValue: table = attribute.u32 ?? table
        case RTA_PRIORITY.rawValue: metric = attribute.u32
        case RTA_PREFSRC.rawValue: preferredSource = attribute.address
        case RTA_METRICS.rawValue:
            for part in attribute.nested where part.type == Int(RTAX_MTU) { mtu = part.u32 }
        case RTA_MULTIPATH.rawValue: readNextHops(attribute.payload)
        default: break
        }
    }

    private mutating func readNextHops(_ payload: UnsafeRawBufferPointer) {
        var rest = payload
        while rest.count >= MemoryLayout<rtnexthop>.size {
            let hop = rest.loadUnaligned(as: rtnexthop.self)
            guard hop.rtnh_len >= MemoryLayout<rtnexthop>.size else { return }
            nextHops.append(hop.rtnh_ifindex)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst((Int(hop.rtnh_len) + 3) & ~3))
        }
    }
}

extension Route.Kind {
    init(number: UInt8) {
        switch Int(number) {
        case RTN_UNICAST: self = .unicast
        case RTN_LOCAL: self = .local
        case RTN_BROADCAST: self = .broadcast
        case RTN_MULTICAST: self = .multicast
        case RTN_ANYCAST: self = .anycast
        case RTN_BLACKHOLE: self = .blackhole
        case RTN_UNREACHABLE: self = .unreachable
        case RTN_PROHIBIT: self = .prohibit
        default: self = .other(number)
        }
    }

    var number: UInt8 {
        switch self {
        case .unicast: UInt8(RTN_UNICAST)
        case .local: UInt8(RTN_LOCAL)
        case .broadcast: UInt8(RTN_BROADCAST)
        case .multicast: UInt8(RTN_MULTICAST)
        case .anycast: UInt8(RTN_ANYCAST)
        case .blackhole: UInt8(RTN_BLACKHOLE)
        case .unreachable: UInt8(RTN_UNREACHABLE)
        case .prohibit: UInt8(RTN_PROHIBIT)
        case .other(let number): number
        }
    }
}

extension RouteNetlink {
    /// `ip route show table all; ip -6 route show table all`
    public func routes() throws(SystemError) -> [Route] {
        var all: [Route] = []
        for family in [AF_INET, AF_INET6] {
            var message = NetlinkMessage("RTM_GETROUTE", "all routes", type: RTM_GETROUTE, flags: 0)
            var header = rtmsg()
            header.rtm_family = UInt8(family)
            message.putHeader(header)
            all += try socket.dump(message) { reply in
                guard let answer = reply.header(rtmsg.self), Int32(answer.rtm_family) == family else { return nil }
                return Route(reply)
            }
        }
        return all
    }

    /// `ip route add DESTINATION dev NAME [table N] [metric N] [src ADDRESS] scope link`
    ///
    /// The interface must be up, for IPv6 at least. EEXIST when the same route is there already.
    public func addRoute(_ route: Route) throws(SystemError) {
        try socket.change(routeMessage("RTM_NEWROUTE", route, type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL))
    }

    /// `ip route delete DESTINATION dev NAME table N`; false when it was not there.
    @discardableResult
    public func deleteRoute(_ route: Route) throws(SystemError) -> Bool {
        let message = routeMessage("RTM_DELROUTE", route, type: RTM_DELROUTE, flags: 0)
        return try absentAsNil { () throws(SystemError) in try socket.change(message) } != nil
    }

    private func routeMessage(_ call: String, _ route: Route, type: Int, flags: Int32) -> NetlinkMessage {
        var message = NetlinkMessage(call, "\(route.destination) table \(route.table)", type: type, flags: flags)
        var header = rtmsg()
        header.rtm_family = UInt8(route.destination.address.family)
        header.rtm_dst_len = route.destination.length
        // Tables beyond 255 do not fit the header.
        header.rtm_table = route.table < 256 ? UInt8(route.table) : UInt8(RT_TABLE_COMPAT.rawValue)
        header.rtm_protocol = route.origin
        header.rtm_scope = route.scope
        header.rtm_type = route.kind.number
        message.putHeader(header)
        message.put(Int(RTA_DST.rawValue), bytes: route.destination.address.bytes)
        message.put(Int(RTA_TABLE.rawValue), u32: route.table)
        if let index = route.linkIndex { message.put(Int(RTA_OIF.rawValue), i32: index) }
        if let gateway = route.gateway { message.put(Int(RTA_GATEWAY.rawValue), bytes: gateway.bytes) }
        if let metric = route.metric { message.put(Int(RTA_PRIORITY.rawValue), u32: metric) }
        if let source = route.preferredSource { message.put(Int(RTA_PREFSRC.rawValue), bytes: source.bytes) }
        if let mtu = route.mtu {
            let metrics = message.beginNest(Int(RTA_METRICS.rawValue))
            message.put(Int(RTAX_MTU), u32: mtu)
            message.endNest(metrics)
        }
        return message
    }
}
