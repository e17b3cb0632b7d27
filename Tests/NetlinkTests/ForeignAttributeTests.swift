import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import Netlink

/// Kernels that are newer or older than this code: attributes it does not know, attributes of another length, and a
/// version number that promises what is not there.
struct ForeignAttributeTests {
    private let newer = attribute(0x3f0, [1, 2, 3]) + attribute(0x3f1 | 0x8000, attribute(1, [9]))

    private func key(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

    /// The device that these messages of a dump tell.
    private func device(_ messages: [[UInt8]]) -> DeviceStatus {
        var reader = DeviceStatusReader()
        for message in messages {
            ([1, 2, 3, 4] + message).withUnsafeBytes {
                reader.read(NetlinkReply(type: 28, flags: 0, payload: $0))
            }
        }
        return reader.status
    }

    private func allowedIP(_ address: [UInt8], _ length: [UInt8], more: [UInt8] = []) -> [UInt8] {
        attribute(
            0x8000,
            more + attribute(1, [UInt8(address.count == 4 ? 2 : 10), 0]) + attribute(2, address) + attribute(3, length))
    }

    private let sockaddr: [UInt8] = [2, 0, 0xca, 0x6c, 192, 0, 2, 1] + [UInt8](repeating: 0, count: 8)

    @Test func `attributes of a newer driver are passed over, at every depth`() throws {
        let peer =
            newer + attribute(1, key(7)) + newer + attribute(4, sockaddr) + attribute(5, [25, 0])
            + attribute(9 | 0x8000, allowedIP([10, 0, 0, 1], [32], more: newer) + allowedIP([10, 1, 0, 0], [16]))
            + newer
        let found = device([
            newer + attribute(6, [0x6c, 0xca]) + newer + attribute(7, [1, 0, 0, 0])
                + attribute(8 | 0x8000, attribute(0x8000, peer)) + newer
        ])
        #expect(found.configuration.listenPort == 0xca6c && found.configuration.firewallMark == 1)
        let only = try #require(found.configuration.peers.first)
        #expect(found.configuration.peers.count == 1 && only.persistentKeepaliveSeconds == 25)
        #expect(only.endpoint == Endpoint("192.0.2.1:51820"))
        #expect(only.allowedIPs.map(\.description) == ["10.0.0.1/32", "10.1.0.0/16"])
    }

    @Test func `what is too short or too long to be a value is none, and takes nothing else along`() throws {
        let peer =
            attribute(1, key(7)) + attribute(2, Array(key(3).dropLast())) + attribute(4, Array(sockaddr.prefix(8)))
            + attribute(5, [25]) + attribute(6, [1, 0, 0, 0, 0, 0, 0, 0]) + attribute(7, [1, 0, 0, 0])
            + attribute(8, [5, 0, 0, 0, 0, 0, 0, 0])
            + attribute(
                9 | 0x8000,
                allowedIP([10, 0, 0], [8]) + allowedIP([10, 0, 0, 1], [33]) + allowedIP([10, 0, 0, 2], [])
                    + attribute(0x8000, attribute(3, [32])) + allowedIP([10, 0, 0, 3], [32])
                    + allowedIP(key(1), [32]))
        let nobody = attribute(1, key(8) + [1]) + attribute(5, [25, 0])
        let nameless = attribute(5, [25, 0])
        let found = device([
            attribute(3, key(5) + [1]) + attribute(6, [1]) + attribute(7, [1, 0])
                + attribute(8 | 0x8000, [nobody, nameless, peer].flatMap { attribute(0x8000, $0) })
        ])
        #expect(found.configuration.privateKey == nil && found.configuration.listenPort == 0)
        #expect(found.configuration.firewallMark == 0)
        let only = try #require(found.configuration.peers.first)
        #expect(found.configuration.peers.count == 1)
        #expect(only.presharedKey == nil && only.endpoint == nil && only.persistentKeepaliveSeconds == 0)
        #expect(only.allowedIPs.map(\.description) == ["10.0.0.3/32"])
        let counters = try #require(found.peers[only.publicKey])
        #expect(counters.lastHandshake == nil && counters.receivedBytes == 0 && counters.sentBytes == 5)
    }

    @Test func `an endpoint is read with its family's length, port and scope`() {
        let scoped =
            [10, 0, 0x12, 0x34, 0, 0, 0, 0, 0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
            + littleEndian(UInt32(3))
        func endpoint(_ bytes: [UInt8]) -> Endpoint? { bytes.withUnsafeBytes { Endpoint(socketAddress: $0) } }
        #expect(endpoint(scoped)?.port == 0x1234 && endpoint(scoped)?.scopeID == 3)
        #expect(endpoint(scoped)?.address == IPAddress("fe80::1"))
        #expect(endpoint(scoped)?.socketAddress == scoped)
        #expect(endpoint(Array(scoped.dropLast())) == nil)
        #expect(endpoint(Array(sockaddr.dropLast())) == nil)
        #expect(endpoint([1, 0] + sockaddr.dropFirst(2)) == nil && endpoint([2]) == nil && endpoint([]) == nil)
    }

    @Test func `links, addresses, routes and rules are read past what is new, and not from what is cut`() throws {
        func reply<Value>(_ type: Int, _ payload: [UInt8], _ read: (NetlinkReply) -> Value?) -> Value? {
            payload.withUnsafeBytes { read(NetlinkReply(type: type, flags: 0, payload: $0)) }
        }
        let ofLink = [0, 0, 0xfe, 0xff] + littleEndian(UInt32(7)) + littleEndian(UInt32(1)) + littleEndian(UInt32(0))
        let link = try #require(
            reply(
                RTM_NEWLINK,
                ofLink + newer + attribute(Int(IFLA_IFNAME), Array("wg0".utf8) + [0])
                    + attribute(Int(IFLA_MTU), [1, 2])
                    + attribute(Int(IFLA_LINKINFO) | 0x8000, newer + attribute(1, Array("wireguard".utf8) + [0])),
                Link.init))
        #expect(link.index == 7 && link.name == "wg0" && link.kind == "wireguard" && link.mtu == 0 && link.isUp)
        #expect(reply(RTM_NEWLINK, Array(ofLink.dropLast()), Link.init) == nil)
        #expect(reply(RTM_DELLINK, ofLink, Link.init) == nil)

        let ofAddress: [UInt8] = [2, 24, 0x80, 0, 7, 0, 0, 0]
        let address = try #require(
            reply(
                RTM_NEWADDR, ofAddress + newer + attribute(Int(IFA_ADDRESS), [10, 0, 0, 1]), LinkAddress.init))
        #expect(address.address.description == "10.0.0.1/24" && address.linkIndex == 7 && address.flags == 0x80)
        #expect(reply(RTM_NEWADDR, ofAddress + attribute(Int(IFA_LOCAL), [10, 0, 0]), LinkAddress.init) == nil)
        #expect(reply(RTM_NEWADDR, [2, 33, 0, 0, 7, 0, 0, 0] + attribute(2, [10, 0, 0, 1]), LinkAddress.init) == nil)

        let ofRoute: [UInt8] = [2, 8, 0, 0, 252, 4, 0, 1, 0, 0, 0, 0]
        let hops: [UInt8] = [8, 0, 0, 0, 5, 0, 0, 0, 12, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4]
        let route = try #require(
            reply(
                RTM_NEWROUTE,
                ofRoute + newer + attribute(Int(RTA_DST.rawValue), [10, 0, 0, 0])
                    + attribute(Int(RTA_TABLE.rawValue), littleEndian(UInt32(51820)))
                    + attribute(Int(RTA_METRICS.rawValue) | 0x8000, newer + attribute(routeMTU, [0x14, 5, 0, 0]))
                    + attribute(Int(RTA_MULTIPATH.rawValue), hops + [4, 0, 0, 0, 9, 0, 0, 0]),
                Route.init))
        #expect(route.destination.description == "10.0.0.0/8" && route.table == 51820 && route.mtu == 1300)
        #expect(route.linkIndexes == [5, 6], "a next hop shorter than itself ends the list")
        #expect(reply(RTM_NEWROUTE, Array(ofRoute.dropLast()), Route.init) == nil)
        #expect(reply(RTM_NEWROUTE, [2, 33] + ofRoute.dropFirst(2), Route.init) == nil)

        let ofRule: [UInt8] = [2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]
        let rule = try #require(
            reply(
                RTM_NEWRULE,
                ofRule + newer + attribute(Int(FRA_FWMARK), [1, 0]) + attribute(Int(FRA_PRIORITY), [9, 0, 0, 0]),
                RoutingRule.init))
        #expect(rule.priority == 9 && rule.mark == nil && rule.table == 254 && rule.family == .ipv4)
        #expect(reply(RTM_NEWRULE, [3] + ofRule.dropFirst(), RoutingRule.init) == nil)
        #expect(reply(RTM_NEWRULE, Array(ofRule.dropLast()), RoutingRule.init) == nil)
    }

    @Test func `a kernel without IPv6 answers a question about it with IPv4: nothing is counted twice`() throws {
        let peer = ScriptedPeer { request in
            let payload: [UInt8]
            switch request.type {
            case RTM_GETADDR: payload = [2, 24, 0, 0, 7, 0, 0, 0] + attribute(Int(IFA_LOCAL), [10, 0, 0, 1])
            case RTM_GETROUTE: payload = [2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]
            default: payload = [2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]
            }
            return [netlinkMessage(request.type - 2, sequence: request.sequence, payload), done(request)]
        }
        let route = RouteNetlink(peer.socket())
        #expect(try route.addresses().count == 1)
        #expect(try route.addresses(linkIndex: 8).isEmpty)
        #expect(try route.routes().count == 1)
        #expect(try route.rules().count == 1)
    }

    @Test(arguments: [EINVAL, EOPNOTSUPP])
    func `a kernel that refuses the removal flag after all gets the old way`(errno: Int32) throws {
        let first = try #require(PublicKey(bytes: key(1)))
        let second = try #require(PublicKey(bytes: key(2)))
        let prefixes = try ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"].map { try #require(IPPrefix($0)) }
        let scripted = ScriptedWireGuard()
        scripted.knowsRemoveFlag = errno == EOPNOTSUPP
        scripted.removeFlagRefusal = errno
        scripted.order = [first, second]
        scripted.peers = [first: .init(), second: .init()]
        scripted.owner = [prefixes[0]: first, prefixes[1]: first, prefixes[2]: second]
        let peer = ScriptedPeer { scripted.answer($0) }
        var change = DeviceChange()
        var mine = PeerChange(publicKey: first)
        mine.allowedIPs = [.remove(prefixes[0]), .remove(prefixes[2])]
        change.peers = [mine]
        do { try WireGuardNetlink(peer.socket(), allowedIPRemoval: .flag).apply(change, to: "wg0") }
        #expect(scripted.owner == [prefixes[1]: first, prefixes[2]: second])
        #expect(scripted.order == [first, second])
        #expect(peer.finish().count == 6, "family, refused, read, the rest, placeholder, its end")
    }

    @Test func `what is refused for another reason is not tried another way`() throws {
        for errno in [EPERM, EINVAL] {
            let scripted = ScriptedWireGuard()
            let peer = ScriptedPeer { request in
                request.type == ScriptedWireGuard.familyNumber
                    ? [acknowledgement(request, errno: errno, text: "not this")] : scripted.answer(request)
            }
            var change = DeviceChange()
            var mine = PeerChange(publicKey: try #require(PublicKey(bytes: key(1))))
            let prefix = try #require(IPPrefix("10.0.0.1/32"))
            mine.allowedIPs = [errno == EPERM ? .remove(prefix) : .add(prefix)]
            change.peers = [mine]
            do {
                let device = try WireGuardNetlink(peer.socket(), allowedIPRemoval: .flag)
                let error = systemError { () throws(SystemError) in try device.apply(change, to: "wg0") }
                #expect(error?.errno == Errno(errno) && error?.detail?.contains("not this") == true)
            }
            #expect(peer.finish().count == 2)
        }
    }

    @Test func `a kernel without the family says so with the cure; a refusal to answer is itself`() {
        let answers: [((ScriptedPeer.Request) -> [UInt8], Int32)] = [
            ({ acknowledgement($0, errno: ENOENT) }, EOPNOTSUPP),
            ({ acknowledgement($0) }, EOPNOTSUPP),
            // A family without a number, and one whose number is cut.
            (
                {
                    netlinkMessage(Int(GENL_ID_CTRL), sequence: $0.sequence, [1, 2, 0, 0] + attribute(1, [28]))
                        + acknowledgement($0)
                }, EOPNOTSUPP
            ),
            ({ acknowledgement($0, errno: EPERM) }, EPERM),
        ]
        for (answer, errno) in answers {
            let peer = ScriptedPeer { [answer($0)] }
            let socket = peer.socket()
            let error = systemError { () throws(SystemError) in
                _ = try WireGuardNetlink(socket, allowedIPRemoval: .flag)
            }
            #expect(error?.errno == Errno(errno))
            #expect(errno == EPERM || error?.detail?.contains("--engine userspace") == true)
        }
    }
}

/// RTAX_MTU of linux/rtnetlink.h.
private let routeMTU = 2
