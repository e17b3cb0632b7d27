import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Netlink

/// The inside of the target: what is there, and what `attach` puts there. All of it goes over one routing
/// socket that was opened in the target; only sysctls need a thread in it.
final class TargetNetwork {
    let namespace: NetworkNamespace
    let reference: NamespaceReference
    let netlink: RouteNetlink
    /// What interfaces were called when `verifyIsEmpty` looked; nil before that.
    private(set) var namesSeen: Set<String>?

    convenience init(_ namespace: consuming NetworkNamespace, _ reference: NamespaceReference) throws(TunnelError) {
        try self.init(namespace) { _, _ in reference }
    }

    /// Enters the namespace once, for the routing socket and for the reference's cookie.
    convenience init(
        _ namespace: consuming NetworkNamespace, path: String?, name: String?, process: ProcessIdentity? = nil
    ) throws(TunnelError) {
        try self.init(namespace) { namespace, socket in
            NamespaceReference(namespace, path: path, name: name, process: process, socket: socket)
        }
    }

    /// The namespace of a reference, found again and verified; nil when it is gone.
    ///
    /// - Parameter census: as of `NamespaceReference.open`.
    static func open(
        _ reference: NamespaceReference, _ census: SharedCensus = SharedCensus()
    ) throws(TunnelError) -> TargetNetwork? {
        // Mostly its file leads to it. Then one socket in it, for which a thread has to go there, is the one to work with
        // and tells which namespace it is.
        if let path = reference.path, let file = try? NetworkNamespace.open(path: path, allowOwn: true),
            file.identity == reference.identity
        {
            var isSame = false
            let target = try? TargetNetwork(file) { _, socket in
                isSame = reference.isCookie(ofSocket: socket)
                return reference
            }
            if let target, isSame { return target }
        }
        guard let namespace = try reference.open(census) else { return nil }
        return try TargetNetwork(namespace, reference)
    }

    private init(
        _ namespace: consuming NetworkNamespace, _ refer: (borrowing NetworkNamespace, Int32) -> NamespaceReference
    ) throws(TunnelError) {
        do throws(SystemError) {
            let socket = try namespace.openRouteSocket()
            reference = refer(namespace, socket.rawValue)
            netlink = try RouteNetlink(owning: socket)
        } catch {
            throw TunnelError(error, doing: "opening a routing socket in \(namespace.label)")
        }
        self.namespace = namespace
    }

    /// Promise P1, before anything is made: `lo`, and the kernel's own fallback devices while they are down.
    func verifyIsEmpty(for interface: InterfaceName, sole: Bool) throws(TunnelError) {
        let links: [Link]
        do throws(SystemError) {
            links = try netlink.links()
        } catch {
            throw TunnelError(error, doing: "listing the interfaces of \(namespace.label)")
        }
        namesSeen = Set(links.map(\.name))
        if links.contains(where: { $0.name == interface.text }) {
            throw TunnelError(
                .interfaceExists, "\(namespace.label) has an interface named \(interface) already",
                cure: "detach that tunnel first (swg-ns list), or choose another --ifname")
        }
        let others = links.filter { !$0.isLoopback && !$0.isKernelFallback }.map(\.name)
        if sole, !others.isEmpty {
            throw TunnelError(
                .notSole,
                "\(namespace.label) has other interfaces, past which traffic could leave: \(others.joined(separator: ", "))",
                cure:
                    "start the container without network (--network none), or give the promise up with --keep-interfaces"
            )
        }
    }

    /// Whether an interface of this name is there.
    func has(_ name: String) throws(TunnelError) -> Bool {
        do throws(SystemError) {
            return try netlink.link(named: name) != nil
        } catch {
            throw TunnelError(error, doing: "looking for \(name) in \(namespace.label)")
        }
    }

    /// How `lo` is put back as it is now; nil when it is up already.
    func loopbackUndo() throws(TunnelError) -> UndoStep? {
        do throws(SystemError) {
            guard let loopback = try netlink.link(named: "lo"), !loopback.isUp else { return nil }
            let isBare = try netlink.addresses(linkIndex: loopback.index).isEmpty
            return .setLinkDown("lo", flushAddresses: isBare, in: reference)
        } catch {
            throw TunnelError(error, doing: "looking at lo in \(namespace.label)")
        }
    }

    /// Returns warnings.
    func configure(_ link: Link, _ plan: TunnelPlan) throws(TunnelError) -> [String] {
        do throws(SystemError) {
            let refused = try withNamespace(namespace) { () throws(SystemError) in
                try InterfaceSetup.setSysctls(of: link.name, ipv6: plan.hasIPv6)
            }
            try InterfaceSetup.configure(link, plan, over: netlink)
            return refused.isEmpty
                ? []
                : ["/proc/sys is not writable: left as they are for \(link.name): \(refused.joined(separator: ", "))"]
        } catch {
            throw TunnelError(error, doing: "configuring \(link.name) in \(namespace.label)")
        }
    }
}
