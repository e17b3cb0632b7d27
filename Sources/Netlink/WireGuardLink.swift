import CLinux
import CMnl
import Glibc
import LinuxSystem

extension RouteNetlink {
    /// The kernel's WireGuard interface, made directly inside the target under its final name.
    ///
    /// Its UDP socket belongs to the namespace of *this* netlink socket: that is its birthplace. It never has
    /// a name outside the target, and a refusal leaves nothing behind.
    /// `ip link add NAME netns TARGET mtu BYTES type wireguard`
    ///
    /// - Parameters:
    ///   - target: a descriptor of the target network namespace; nil for this one.
    ///   - mtu: bytes; nil for the driver's default of 1420.
    /// - Throws: EEXIST when the name is taken there, EOPNOTSUPP without the driver, EPERM without CAP_NET_ADMIN
    ///   in both namespaces.
    public func createWireGuard(name: String, target: Int32? = nil, mtu: UInt32? = nil) throws(SystemError) {
        var message = NetlinkMessage("RTM_NEWLINK wireguard", name, type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL)
        message.putHeader(ifinfomsg())
        message.put(Int(IFLA_IFNAME), text: name)
        if let target { message.put(Int(IFLA_NET_NS_FD), i32: target) }
        if let mtu { message.put(Int(IFLA_MTU), u32: mtu) }
        let information = message.beginNest(Int(IFLA_LINKINFO))
        message.put(Int(IFLA_INFO_KIND), text: "wireguard")
        message.endNest(information)
        do throws(SystemError) {
            try socket.change(message)
        } catch {
            switch error.errno.rawValue {
            case EOPNOTSUPP:
                throw error.explained("this kernel has no WireGuard: `modprobe wireguard`, or use --engine userspace")
            case EEXIST: throw error.explained("an interface of that name is there already")
            case EPERM: throw error.explained("creating an interface needs CAP_NET_ADMIN here and in the target")
            default: throw error
            }
        }
    }
}
