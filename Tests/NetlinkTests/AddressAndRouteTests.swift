import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Testing

@testable import Netlink

@Suite(.enabled(if: getuid() == 0, "needs root"))
struct AddressAndRouteTests {
    private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
    private func address(_ text: String) throws -> InterfaceAddress { try #require(InterfaceAddress(text)) }

    @Test(arguments: [
        "10.1.2.3/24", "10.0.0.1/32", "172.20.0.1/32 peer 172.20.0.2/32", "fd00::5/64", "fe80::1/64", "2001:db8::1/128",
    ])
    func `an address is read back as it was written, and usable at once`(text: String) throws {
        let fresh = try TestNamespace()
        let tun = try fresh.makeTun("t0")
        let index = try fresh.index(of: "t0")
        try fresh.route.setLink(index, up: true)
        let wanted = try address(text)
        try fresh.route.addAddress(wanted, linkIndex: index)
        let found = try fresh.route.addresses(linkIndex: index).filter { $0.address == wanted }
        #expect(found.count == 1)
        #expect(found.first.map { $0.flags & UInt32(IFA_F_TENTATIVE) } == 0)
        let again = systemError { () throws(SystemError) in try fresh.route.addAddress(wanted, linkIndex: index) }
        #expect(again?.errno == Errno(EEXIST))
        #expect(try fresh.route.deleteAddress(wanted, linkIndex: index))
        #expect(try !fresh.route.deleteAddress(wanted, linkIndex: index))
        #expect(try !fresh.route.addresses(linkIndex: index).contains { $0.address == wanted })
        _ = try tun.currentName()
    }

    @Test func `IPv6 that is switched off is named as the cause`() throws {
        let fresh = try TestNamespace()
        let tun = try fresh.makeTun("t0")
        let index = try fresh.index(of: "t0")
        try withNamespace(fresh.namespace) { () throws(SystemError) in
            try File.write("1", to: "/proc/sys/net/ipv6/conf/t0/disable_ipv6")
        }
        let wanted = try address("fd00::1/64")
        let error = systemError { () throws(SystemError) in try fresh.route.addAddress(wanted, linkIndex: index) }
        #expect(error?.detail?.contains("disable_ipv6") == true)
        _ = try tun.currentName()
    }

    @Test func `P1: routes of every table and both families are seen`() throws {
        let fresh = try TestNamespace()
        let tun = try fresh.makeTun("t0")
        let index = try fresh.index(of: "t0")
        try fresh.route.setLink(index, up: true)
        var wanted: [Route] = []
        wanted.append(Route(to: .everythingIPv4, linkIndex: index))
        wanted.append(Route(to: .everythingIPv6, linkIndex: index))
        wanted.append(Route(to: try prefix("10.9.0.0/16"), linkIndex: index, metric: 77))
        wanted.append(Route(to: try prefix("10.8.0.0/16"), linkIndex: index, table: 51820))
        wanted.append(Route(to: try prefix("2001:db8:1::/48"), linkIndex: index, table: 200, metric: 5))
        for route in wanted { try fresh.route.addRoute(route) }
        try fresh.ip("route", "add", "blackhole", "10.7.0.0/16", "table", "99")
        let found = try fresh.route.routes()
        for route in wanted {
            let match = found.filter {
                $0.destination == route.destination && $0.table == route.table && $0.linkIndex == index
                    && $0.kind == .unicast
            }
            #expect(match.count == 1, "\(route.destination)")
            if let metric = route.metric { #expect(match.first?.metric == metric) }
        }
        #expect(found.contains { $0.kind == .blackhole && $0.table == 99 && $0.linkIndex == nil })
        #expect(found.contains { $0.table == Route.localTable } || found.allSatisfy { $0.table != Route.localTable })
        let twice = systemError { () throws(SystemError) in try fresh.route.addRoute(wanted[0]) }
        #expect(twice?.errno == Errno(EEXIST))
        #expect(try fresh.route.deleteRoute(wanted[3]))
        #expect(try !fresh.route.deleteRoute(wanted[3]))
        _ = try tun.currentName()
    }

    @Test func `the way to an endpoint follows routes, marks and their MTU`() throws {
        let fresh = try TestNamespace()
        let first = try fresh.makeTun("t0")
        let second = try fresh.makeTun("t1")
        let indexes = (try fresh.index(of: "t0"), try fresh.index(of: "t1"))
        for index in [indexes.0, indexes.1] { try fresh.route.setLink(index, up: true) }
        try fresh.route.setLink(indexes.0, mtu: 1400)
        try fresh.route.addAddress(try address("10.0.0.1/32"), linkIndex: indexes.0)
        try fresh.route.addRoute(Route(to: try prefix("192.0.2.0/24"), linkIndex: indexes.0))
        let remote = try #require(IPAddress("192.0.2.7"))
        let nowhere = try #require(IPAddress("198.51.100.1"))
        #expect(try fresh.route.lookUpRoute(to: remote)?.linkIndex == indexes.0)
        #expect(try fresh.route.lookUpRoute(to: remote)?.preferredSource == IPAddress("10.0.0.1"))
        #expect(try fresh.pathMTU(to: remote) == 1400)
        #expect(try fresh.route.lookUpRoute(to: nowhere) == nil)
        #expect(try fresh.pathMTU(to: nowhere) == nil)
        // With a mark the packets go another way, by a route that has an MTU of its own.
        var marked = Route(to: .everythingIPv4, linkIndex: indexes.1, table: 1234)
        marked.mtu = 1300
        try fresh.route.addRoute(marked)
        #expect(try fresh.ip("rule", "add", "fwmark", "0xca6c", "table", "1234", "priority", "100") == 0)
        #expect(try fresh.pathMTU(to: remote, mark: 0xca6c) == 1300)
        #expect(try fresh.pathMTU(to: remote) == 1400)
        _ = try (first.currentName(), second.currentName())
    }

    @Test func `rules are read as ip-rule wrote them`() throws {
        let fresh = try TestNamespace()
        #expect(try fresh.route.rules().allSatisfy(\.isDefault))
        var rule = RoutingRule(family: .ipv6, table: 70000)
        rule.priority = 42
        rule.mark = 0xca6c
        rule.markMask = 0xffff
        rule.inverted = true
        rule.source = try prefix("fd00::/8")
        rule.inputInterface = "lo"
        var suppressing = RoutingRule(family: .ipv4, table: Route.mainTable)
        suppressing.priority = 43
        suppressing.suppressPrefixLength = 0
        let written = [
            (rule, "-6 rule X not from fd00::/8 fwmark 0xca6c/0xffff iif lo table 70000 priority 42"),
            (suppressing, "rule X table main suppress_prefixlength 0 priority 43"),
        ]
        for (wanted, words) in written {
            for change in ["add", "delete"] {
                #expect(try fresh.ip(words.split(separator: " ").map { $0 == "X" ? change : String($0) }) == 0)
                let added = try fresh.route.rules().filter { !$0.isDefault }
                #expect(added == (change == "add" ? [wanted] : []))
            }
        }
        #expect(try fresh.route.rules().allSatisfy(\.isDefault))
    }
}
