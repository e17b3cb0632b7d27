import CLinux
import CMnl
import Glibc
import IPAddressing
import LinuxSystem

/// An address as the kernel holds it on an interface. ip-address(8).
public struct LinkAddress: Hashable, Sendable {
    public let linkIndex: Int32
    public let address: InterfaceAddress
    /// RT_SCOPE_*: 0 global, 253 link, 254 host.
    public let scope: UInt8
    /// IFA_F_*, such as tentative.
    public let flags: UInt32

    init?(_ reply: NetlinkReply) {
        guard reply.type == RTM_NEWADDR, let header = reply.header(ifaddrmsg.self) else { return nil }
        var local: IPAddress?
        var other: IPAddress?
        var flags = UInt32(header.ifa_flags)
        for attribute in reply.attributes(after: ifaddrmsg.self) {
            switch attribute.type {
            case Int(IFA_LOCAL): local = attribute.address
            case Int(IFA_ADDRESS): other = attribute.address
            case Int(IFA_FLAGS): flags = attribute.u32 ?? flags
            default: break
            }
        }
        guard let own = local ?? other else { return nil }
        var peer: IPPrefix?
        if let other, other != own { peer = IPPrefix(masking: other, length: header.ifa_prefixlen) }
        // With a peer the length is the peer's; the own address then is a single one.
        let length = peer == nil ? header.ifa_prefixlen : own.bitWidth
        guard let address = InterfaceAddress(address: own, length: length, peer: peer) else { return nil }
        linkIndex = Int32(bitPattern: header.ifa_index)
        self.address = address
        scope = header.ifa_scope
        self.flags = flags
    }
}

extension RouteNetlink {
    /// `ip address show`, of every interface or one; both families.
    public func addresses(linkIndex: Int32? = nil) throws(SystemError) -> [LinkAddress] {
        var all: [LinkAddress] = []
        for family in [AF_INET, AF_INET6] {
            var message = NetlinkMessage("RTM_GETADDR", "addresses", type: RTM_GETADDR, flags: 0)
            var header = ifaddrmsg()
            header.ifa_family = UInt8(family)
            message.putHeader(header)
            all += try socket.dump(message) { reply in
                // A kernel without IPv6 answers a question about it with IPv4.
                guard let answer = reply.header(ifaddrmsg.self), Int32(answer.ifa_family) == family,
                    linkIndex == nil || linkIndex == Int32(bitPattern: answer.ifa_index)
                else { return nil }
                return LinkAddress(reply)
            }
        }
        return all
    }

    /// `ip address add ADDRESS[/LENGTH] [peer ADDRESS[/LENGTH]] dev NAME [nodad] [noprefixroute]`
    ///
    /// - Parameters:
    ///   - duplicateDetection: IPv6 only; off, the address can be used at once (a tunnel has no neighbours).
    ///   - prefixRoute: whether the kernel adds the on-link route.
    public func addAddress(
        _ address: InterfaceAddress, linkIndex: Int32, duplicateDetection: Bool = false, prefixRoute: Bool = true
    ) throws(SystemError) {
        var flags: UInt32 = 0
        if address.address.isIPv6, !duplicateDetection { flags |= UInt32(IFA_F_NODAD) }
        if !prefixRoute { flags |= UInt32(IFA_F_NOPREFIXROUTE) }
        var message = addressMessage(
            "RTM_NEWADDR", address, linkIndex, type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL)
        message.put(Int(IFA_FLAGS), u32: flags)
        do throws(SystemError) {
            try socket.change(message)
        } catch {
            switch error.errno.rawValue {
            case EACCES where address.address.isIPv6:
                throw error.explained("IPv6 is switched off for this interface: sysctl net.ipv6.conf.*.disable_ipv6")
            default: throw error
            }
        }
    }

    /// `ip address delete ADDRESS dev NAME`; false when it was not there.
    @discardableResult
    public func deleteAddress(_ address: InterfaceAddress, linkIndex: Int32) throws(SystemError) -> Bool {
        let message = addressMessage("RTM_DELADDR", address, linkIndex, type: RTM_DELADDR, flags: 0)
        do throws(SystemError) {
            try socket.change(message)
            return true
        } catch {
            switch error.errno.rawValue {
            case EADDRNOTAVAIL, ENODEV, ESRCH: return false
            default: throw error
            }
        }
    }

    private func addressMessage(
        _ call: String, _ address: InterfaceAddress, _ linkIndex: Int32, type: Int, flags: Int32
    ) -> NetlinkMessage {
        var message = NetlinkMessage(call, "\(address)", type: type, flags: flags)
        var header = ifaddrmsg()
        header.ifa_family = UInt8(address.address.family)
        header.ifa_prefixlen = address.peer?.length ?? address.length
        header.ifa_index = UInt32(bitPattern: linkIndex)
        message.putHeader(header)
        message.put(Int(IFA_LOCAL), bytes: address.address.bytes)
        message.put(Int(IFA_ADDRESS), bytes: (address.peer?.address ?? address.address).bytes)
        return message
    }
}

extension IPAddress {
    /// AF_INET or AF_INET6.
    var family: Int32 { isIPv4 ? AF_INET : AF_INET6 }
}
