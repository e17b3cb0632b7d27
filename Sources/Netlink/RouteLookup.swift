import CLinux
import CMnl
import Glibc
import IPAddressing
import LinuxSystem

/// Which way a packet would go. `ip route get`.
public struct RouteLookup: Hashable, Sendable {
    public let linkIndex: Int32
    public let gateway: IPAddress?
    public let preferredSource: IPAddress?
    /// From the route itself or learnt by path MTU discovery; nil leaves the interface's.
    public let mtu: UInt32?
    public let table: UInt32
}

extension RouteNetlink {
    /// `ip route get ADDRESS [mark N]`; nil when there is no way there.
    ///
    /// - Parameter mark: the tunnel's FwMark, by which rules may send its packets elsewhere; 0 for none.
    public func lookUpRoute(to address: IPAddress, mark: UInt32 = 0) throws(SystemError) -> RouteLookup? {
        var message = NetlinkMessage("RTM_GETROUTE", "\(address)", type: RTM_GETROUTE, flags: 0)
        var header = rtmsg()
        header.rtm_family = UInt8(address.family)
        header.rtm_dst_len = address.bitWidth
        message.putHeader(header)
        message.put(Int(RTA_DST.rawValue), bytes: address.bytes)
        if mark != 0 { message.put(Int(RTA_MARK.rawValue), u32: mark) }
        do throws(SystemError) {
            return try socket.ask(message) { reply in
                guard reply.type == RTM_NEWROUTE, let header = reply.header(rtmsg.self) else { return nil }
                var route = RouteAttributes(table: UInt32(header.rtm_table))
                for attribute in reply.attributes(after: rtmsg.self) { route.read(attribute) }
                guard let index = route.linkIndex else { return nil }
                return RouteLookup(
                    linkIndex: index, gateway: route.gateway, preferredSource: route.preferredSource, mtu: route.mtu,
                    table: route.table)
            }
        } catch {
            switch error.errno.rawValue {
            // Unreachable, blackhole and prohibit routes answer with these.
            case ENETUNREACH, EHOSTUNREACH, EINVAL, EACCES: return nil
            default: throw error
            }
        }
    }
}
