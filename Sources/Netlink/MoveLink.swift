import CLinux
import CMnl
import Glibc
import LinuxSystem

// Moving an interface to another network namespace under a new name is one request, and has one trap: when the
// new name is taken over there, the kernel answers EEXIST *after* it has moved the device under its old name.
// The error alone therefore says nothing about where the device is. Here it is looked up in both namespaces
// and brought home again.

extension RouteNetlink {
    /// Moves an interface into another namespace and renames it, in one request.
    /// `ip link set dev OLD netns TARGET name NEW`
    ///
    /// A move takes the interface down and drops its addresses and routes.
    /// - Parameters:
    ///   - index: the interface here; it may have another index there.
    ///   - target: a socket of the target namespace, for the look after an error.
    ///   - targetNamespace: a descriptor of the target namespace.
    ///   - homeNamespace: a descriptor of this namespace, for the way back.
    /// - Returns: the interface as it is in the target.
    /// - Throws: the refusal; the interface is then where it was, or `detail` says that it is not.
    @discardableResult
    public func moveLink(
        index: Int32, to target: RouteNetlink, targetNamespace: Int32, homeNamespace: Int32, newName: String
    ) throws(SystemError) -> Link {
        guard let link = try link(index: index) else {
            throw SystemError(call: "RTM_NEWLINK move", object: "interface \(index)", errno: Errno(ENODEV))
        }
        return try moveLink(
            link, to: target, targetNamespace: targetNamespace, homeNamespace: homeNamespace, newName: newName)
    }

    /// As by index, for an interface that was just looked up.
    ///
    /// - Parameter namesThere: what interfaces of the target were called a moment ago; nil asks.
    public func moveLink(
        _ link: Link, to target: RouteNetlink, targetNamespace: Int32, homeNamespace: Int32, newName: String,
        namesThere: Set<String>? = nil
    ) throws(SystemError) -> Link {
        // Asked first, so that nearly every clash is found before anything moves.
        for name in Set([newName, link.name])
        where try target.has(name, among: namesThere) {
            throw SystemError(
                call: "RTM_NEWLINK move", object: "\(link.name) to \(newName)", errno: Errno(EEXIST),
                detail: "the target namespace has an interface named \(name) already")
        }
        do throws(SystemError) {
            try sendMove(index: link.index, to: targetNamespace, name: newName, object: "\(link.name) to \(newName)")
        } catch {
            throw bringHome(link, from: target, homeNamespace: homeNamespace, after: error)
        }
        guard let moved = try target.link(named: newName) else {
            throw SystemError(
                call: "RTM_NEWLINK move", object: newName, errno: Errno(ENODEV),
                detail: "the interface moved and vanished: the target namespace is going away")
        }
        return moved
    }

    private func has(_ name: String, among names: Set<String>?) throws(SystemError) -> Bool {
        if let names { return names.contains(name) }
        return try link(named: name) != nil
    }

    /// Undoes a half-made move; returns the error to throw.
    func bringHome(
        _ link: Link, from target: RouteNetlink, homeNamespace: Int32, after error: SystemError
    ) -> SystemError {
        do throws(SystemError) {
            if let here = try self.link(index: link.index), here.name == link.name { return error }
            guard let stranded = try target.link(named: link.name), stranded.kind == link.kind else {
                return error.explained("the interface is in neither namespace now")
            }
            try target.sendMove(index: stranded.index, to: homeNamespace, name: link.name, object: "\(link.name) back")
            return error
        } catch {
            return error.explained("and \(link.name) stays in the target: \(error)")
        }
    }

    /// The bare request.
    func sendMove(index: Int32, to namespace: Int32, name: String, object: String) throws(SystemError) {
        var message = NetlinkMessage("RTM_NEWLINK move", object, type: RTM_NEWLINK, flags: 0)
        message.putHeader(ifinfomsg(index: index))
        message.put(Int(IFLA_NET_NS_FD), i32: namespace)
        message.put(Int(IFLA_IFNAME), text: name)
        try socket.change(message)
    }
}
