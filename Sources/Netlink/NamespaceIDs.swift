import CLinux
import CMnl
import Glibc
import LinuxSystem

extension RouteNetlink {
    /// The number by which this namespace knows another; nil when it has none. Numbers are per viewing
    /// namespace. `ip netns list-id`
    public func namespaceID(of namespace: Int32) throws(SystemError) -> Int32? {
        var message = NetlinkMessage("RTM_GETNSID", "descriptor \(namespace)", type: RTM_GETNSID, flags: 0)
        message.putHeader(rtgenmsg())
        message.put(Int(NETNSA_FD), i32: namespace)
        let number = try socket.ask(message) { reply -> Int32? in
            for attribute in reply.attributes(after: rtgenmsg.self) where attribute.type == Int(NETNSA_NSID) {
                return attribute.i32
            }
            return nil
        }
        return number.flatMap { $0 < 0 ? nil : $0 }
    }

    /// Has this namespace give another a number. `ip netns set NAME auto`
    public func assignNamespaceID(to namespace: Int32) throws(SystemError) {
        var message = NetlinkMessage("RTM_NEWNSID", "descriptor \(namespace)", type: RTM_NEWNSID, flags: 0)
        message.putHeader(rtgenmsg())
        message.put(Int(NETNSA_NSID), i32: -1)
        message.put(Int(NETNSA_FD), i32: namespace)
        do throws(SystemError) {
            try socket.change(message)
        } catch {
            guard error.errno.rawValue == EEXIST else { throw error }
        }
    }
}
