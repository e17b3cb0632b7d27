import CLinux
import CMnl
import Glibc
import LinuxSystem

/// A network interface. ip-link(8).
public struct Link: Hashable, Sendable {
    public let index: Int32
    public let name: String
    /// `wireguard`, `tun`, `veth`, `dummy`, …; nil for a plain device such as `lo`.
    public let kind: String?
    /// IFF_*, see netdevice(7).
    public let flags: UInt32
    public let mtu: UInt32

    public var isUp: Bool { flags & UInt32(IFF_UP) != 0 }
    public var isLoopback: Bool { flags & UInt32(IFF_LOOPBACK) != 0 }

    /// The kernel makes these in every new namespace once their module is loaded; nobody asked for them, and
    /// down, without address and route, they lead nowhere (promise P1).
    public var isKernelFallback: Bool { Link.fallbackNames.contains(name) && !isUp }

    private static let fallbackNames: Set<String> = [
        "tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0",
    ]

    init?(_ reply: NetlinkReply) {
        guard reply.type == RTM_NEWLINK, let header = reply.header(ifinfomsg.self) else { return nil }
        var name = ""
        var kind: String?
        var mtu: UInt32 = 0
        for attribute in reply.attributes(after: ifinfomsg.self) {
            switch attribute.type {
            case Int(IFLA_IFNAME): name = attribute.text
            case Int(IFLA_MTU): mtu = attribute.u32 ?? 0
            case Int(IFLA_LINKINFO):
                for part in attribute.nested where part.type == Int(IFLA_INFO_KIND) { kind = part.text }
            default: break
            }
        }
        index = header.ifi_index
        self.name = name
        self.kind = kind
        flags = header.ifi_flags
        self.mtu = mtu
    }
}

/// rtnetlink(7): interfaces, addresses, routes and rules of one network namespace.
///
/// Not for two threads at once. Every call is one or two requests; none waits for anything but the kernel.
public struct RouteNetlink {
    public let socket: NetlinkSocket

    /// In the calling thread's namespace.
    public init() throws(SystemError) { try self.init(owning: NetlinkSocket.openDescriptor(.route)) }

    /// A NETLINK_ROUTE socket that was opened in the namespace to configure.
    public init(owning descriptor: consuming FileDescriptor) throws(SystemError) {
        socket = try NetlinkSocket(owning: descriptor)
    }

    init(_ socket: NetlinkSocket) { self.socket = socket }
}

extension RouteNetlink {
    /// `ip -details link show`
    public func links() throws(SystemError) -> [Link] {
        var message = NetlinkMessage("RTM_GETLINK", "all interfaces", type: RTM_GETLINK, flags: 0)
        message.putHeader(ifinfomsg())
        message.put(Int(IFLA_EXT_MASK), u32: skipStatistics)
        return try socket.dump(message, Link.init)
    }

    /// `ip link show dev NAME`; nil when there is none.
    public func link(named name: String) throws(SystemError) -> Link? {
        var message = NetlinkMessage("RTM_GETLINK", name, type: RTM_GETLINK, flags: 0)
        message.putHeader(ifinfomsg())
        message.put(Int(IFLA_IFNAME), text: name)
        message.put(Int(IFLA_EXT_MASK), u32: skipStatistics)
        return try absentAsNil { () throws(SystemError) in try socket.ask(message, Link.init) }
    }

    /// `ip link show` for one index; nil when there is none.
    public func link(index: Int32) throws(SystemError) -> Link? {
        var message = NetlinkMessage("RTM_GETLINK", "interface \(index)", type: RTM_GETLINK, flags: 0)
        message.putHeader(ifinfomsg(index: index))
        message.put(Int(IFLA_EXT_MASK), u32: skipStatistics)
        return try absentAsNil { () throws(SystemError) in try socket.ask(message, Link.init) }
    }

    /// `ip link set dev NAME up|down`
    public func setLink(_ index: Int32, up: Bool) throws(SystemError) {
        var message = NetlinkMessage(
            "RTM_NEWLINK \(up ? "up" : "down")", "interface \(index)", type: RTM_NEWLINK, flags: 0)
        var header = ifinfomsg(index: index)
        header.ifi_flags = up ? UInt32(IFF_UP) : 0
        header.ifi_change = UInt32(IFF_UP)
        message.putHeader(header)
        do throws(SystemError) {
            try socket.change(message)
        } catch {
            // The driver binds its socket now.
            guard up, error.errno.rawValue == EADDRINUSE else { throw error }
            throw error.explained(
                "its listen port is taken in the namespace where it was made: use another ListenPort=, or none")
        }
    }

    /// `ip link set dev NAME mtu BYTES`
    public func setLink(_ index: Int32, mtu: UInt32) throws(SystemError) {
        var message = NetlinkMessage("RTM_NEWLINK mtu \(mtu)", "interface \(index)", type: RTM_NEWLINK, flags: 0)
        message.putHeader(ifinfomsg(index: index))
        message.put(Int(IFLA_MTU), u32: mtu)
        try socket.change(message)
    }
}

extension ifinfomsg {
    init(index: Int32) {
        self.init()
        ifi_index = index
    }
}

/// RTEXT_FILTER_SKIP_STATS: the counters are most of the message, and nobody asks for them here.
let skipStatistics: UInt32 = 8

/// "No such device" as a value.
func absentAsNil<Value>(_ body: () throws(SystemError) -> Value?) throws(SystemError) -> Value? {
    do throws(SystemError) {
        return try body()
    } catch {
        switch error.errno.rawValue {
        case ENODEV, ENXIO, ESRCH: return nil
        default: throw error
        }
    }
}
