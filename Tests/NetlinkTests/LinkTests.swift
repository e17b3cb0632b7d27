import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Testing

@testable import Netlink

@Suite(.enabled(if: getuid() == 0, "needs root"))
struct LinkTests {
    @Test func `a fresh namespace holds lo alone, down`() throws {
        let fresh = try TestNamespace()
        let links = try fresh.route.links().filter { !$0.isKernelFallback }
        #expect(links.map(\.name) == ["lo"])
        let loopback = try #require(links.first)
        #expect(loopback.isLoopback && !loopback.isUp && loopback.kind == nil)
        try fresh.route.setLink(loopback.index, up: true)
        #expect(try fresh.route.link(named: "lo")?.isUp == true)
    }

    @Test func `what is read about an interface is what was set`() throws {
        let fresh = try TestNamespace()
        let tun = try fresh.makeTun("t0")
        let index = try fresh.index(of: "t0")
        try fresh.route.setLink(index, mtu: 1337)
        try fresh.route.setLink(index, up: true)
        let link = try #require(try fresh.route.link(index: index))
        #expect(link.name == "t0" && link.kind == "tun" && link.mtu == 1337 && link.isUp)
        try fresh.route.setLink(index, up: false)
        #expect(try fresh.route.link(index: index)?.isUp == false)
        #expect(try fresh.route.link(named: "absent") == nil)
        #expect(try fresh.route.link(index: 4711) == nil)
        _ = try tun.currentName()
    }

    @Test func `P6: the kernel's own words reach the error`() throws {
        let fresh = try TestNamespace()
        for (length, refusal) in [(300, ERANGE), (10_000, EMSGSIZE)] {
            let error = systemError { () throws(SystemError) in
                _ = try fresh.route.link(named: String(repeating: "a", count: length))
            }
            #expect(error?.errno == Errno(refusal))
        }
        let tun = try fresh.makeTun("t0")
        let mtu = systemError { () throws(SystemError) in
            try fresh.route.setLink(tunIndex(fresh.route), mtu: 20)
        }
        #expect(mtu?.errno == Errno(EINVAL))
        #expect(mtu?.detail?.isEmpty == false, "the extended acknowledgement says why")
        _ = try tun.currentName()
    }

    private func tunIndex(_ route: RouteNetlink) throws(SystemError) -> Int32 {
        try route.link(named: "t0")?.index ?? 0
    }

    @Test func `P4, P5: delete takes only what it names, and nothing twice`() throws {
        let fresh = try TestNamespace()
        let tun = try fresh.makeTun("t0")
        let index = try fresh.index(of: "t0")
        #expect(try !fresh.deleteLink(index: index, name: "other"))
        #expect(try !fresh.deleteLink(index: index, name: "t0", kind: "wireguard"))
        #expect(try fresh.route.link(index: index) != nil)
        #expect(try fresh.deleteLink(index: index, name: "t0", kind: "tun"))
        #expect(try !fresh.deleteLink(index: index, name: "t0", kind: "tun"))
        #expect(systemError { () throws(SystemError) in _ = try tun.currentName() } != nil)
    }

    @Test func `a kernel without WireGuard says so with the cure`() throws {
        let fresh = try TestNamespace()
        if WireGuardNetlink.isAvailable() { return }
        let error = systemError { () throws(SystemError) in try fresh.route.createWireGuard(name: "wg0") }
        #expect(error?.errno == Errno(EOPNOTSUPP))
        #expect(error?.detail?.contains("modprobe wireguard") == true)
        #expect(try fresh.route.link(named: "wg0") == nil)
    }
}

@Suite(.enabled(if: getuid() == 0, "needs root"))
struct MoveLinkTests {
    @Test func `a move renames in the same request and drops what was configured`() throws {
        let home = try TestNamespace()
        let target = try TestNamespace()
        let tun = try home.makeTun("t0")
        let index = try home.index(of: "t0")
        try home.route.setLink(index, up: true)
        let moved = try home.route.moveLink(
            index: index, to: target.route, targetNamespace: target.number, homeNamespace: home.number, newName: "wg0")
        #expect(moved.name == "wg0" && moved.kind == "tun" && !moved.isUp)
        #expect(try home.route.links().filter { $0.kind == "tun" }.isEmpty)
        let name = try tun.currentName()
        #expect(name == "wg0")
    }

    @Test func `a taken name is found before anything moves`() throws {
        let home = try TestNamespace()
        let target = try TestNamespace()
        let ours = try home.makeTun("t0")
        let theirs = try target.makeTun("wg0")
        let index = try home.index(of: "t0")
        let error = systemError { () throws(SystemError) in
            try home.route.moveLink(
                index: index, to: target.route, targetNamespace: target.number, homeNamespace: home.number,
                newName: "wg0")
        }
        #expect(error?.errno == Errno(EEXIST))
        #expect(try home.route.link(index: index)?.name == "t0")
        let names = try [ours.currentName(), theirs.currentName()]
        #expect(names == ["t0", "wg0"])
    }

    @Test func `P4: a device that the kernel moved although it said EEXIST is brought home`() throws {
        let home = try TestNamespace()
        let target = try TestNamespace()
        let ours = try home.makeTun("t0")
        let theirs = try target.makeTun("wg0")
        let link = try #require(try home.route.link(named: "t0"))
        // The bare request, as it goes when the name is taken between the look and the move.
        let error = try #require(
            systemError { () throws(SystemError) in
                try home.route.sendMove(index: link.index, to: target.number, name: "wg0", object: "t0")
            })
        #expect(error.errno == Errno(EEXIST))
        let final = home.route.bringHome(link, from: target.route, homeNamespace: home.number, after: error)
        #expect(final == error)
        #expect(try home.route.link(named: "t0")?.kind == "tun")
        #expect(try target.route.link(named: "t0") == nil)
        #expect(try target.route.link(named: "wg0")?.kind == "tun")
        let names = try [ours.currentName(), theirs.currentName()]
        #expect(names == ["t0", "wg0"])
    }
}
