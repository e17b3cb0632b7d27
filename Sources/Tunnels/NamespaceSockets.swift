import CLinux
import Glibc
import LinuxSystem
import Namespaces
import Netlink

extension NetworkNamespace {
    /// rtnetlink of this namespace, usable from any thread.
    public borrowing func routeNetlink() throws(SystemError) -> RouteNetlink {
        try RouteNetlink(owning: openRouteSocket())
    }

    /// The bare socket of it.
    borrowing func openRouteSocket() throws(SystemError) -> FileDescriptor {
        try openSocket(AF_NETLINK, Int32(SOCK_RAW.rawValue), NetlinkSocket.Bus.route.rawValue)
    }

    /// The WireGuard devices of this namespace.
    /// - Throws: EOPNOTSUPP when the kernel has no WireGuard.
    public borrowing func wireGuardNetlink() throws(SystemError) -> WireGuardNetlink {
        try WireGuardNetlink(
            owning: openSocket(AF_NETLINK, Int32(SOCK_RAW.rawValue), NetlinkSocket.Bus.generic.rawValue))
    }
}
