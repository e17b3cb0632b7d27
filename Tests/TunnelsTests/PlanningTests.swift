import Glibc
import IPAddressing
import LinuxSystem
import Netlink
import Testing
import WireGuardConfig
import WireGuardCrypto

@testable import Tunnels

struct PlanningTests {
    private let temporary = TemporaryState()

    private func load(_ lines: String, _ options: PlanOptions) throws -> LoadedConfiguration {
        try File.makeDirectories(temporary.root)
        let path = "\(temporary.root)/wg0.conf"
        let key = PrivateKey.generate()
        var text = SecretText()
        text.append("[Interface]\nPrivateKey = ")
        text.append(base64Of: key.secret)
        text.append("\n\(lines)\n")
        try SecretFile.replace(path, with: text, mode: 0o600)
        return try ConfigurationLoader.load(.file(path), options)
    }

    private func plan(_ lines: String, _ change: (inout PlanOptions) -> Void = { _ in }) throws -> TunnelPlan {
        var options = PlanOptions(interface: try InterfaceName("wg0"))
        change(&options)
        return try Planner.plan(try load(lines, options), options, birthplace: try RouteNetlink())
    }

    private static let peer = """
        [Peer]
        PublicKey = 4DSXkcwXUNDzrvXLxvLAqHeVeXdnSJvvcDKqrGbGbzI=
        Endpoint = 127.0.0.1:51820
        AllowedIPs = 0.0.0.0/0, ::/0
        """

    @Test func `routes come from AllowedIPs; without an IPv6 address there are none of IPv6`() throws {
        let both = try plan("Address = 10.0.0.2/32, fd00::2/128\n\(Self.peer)")
        #expect(both.routes == [.everythingIPv4, .everythingIPv6])
        let four = try plan("Address = 10.0.0.2/32\n\(Self.peer)")
        #expect(four.routes == [.everythingIPv4] && !four.hasIPv6)
        #expect(try plan("Address = 10.0.0.2/32\nTable = off\n\(Self.peer)").routes.isEmpty)
    }

    @Test func `the MTU is the option's, else the file's; out of range is an error with the range`() throws {
        #expect(try plan("MTU = 1300\n\(Self.peer)").mtu == 1300)
        #expect(try plan("MTU = 1300\n\(Self.peer)") { $0.mtu = 1400 }.mtu == 1400)
        #expect { try plan("Address = fd00::2/128\n\(Self.peer)") { $0.mtu = 1000 } } throws: {
            ($0 as? TunnelError)?.kind == .usage && "\($0)".contains("1280")
        }
        // No endpoint: nothing to find out by.
        #expect(try plan("").mtu == TunnelMTU.defaultBytes)
    }

    @Test func `P6: a Table without a rule, no DNS, a server that nothing covers, no address: each is a warning`()
        throws
    {
        let warnings = try plan("Table = 77\n\(Self.peer)").warnings.joined(separator: "\n")
        #expect(warnings.contains("Table=77") && warnings.contains("no DNS=") && warnings.contains("no Address="))
        let narrow = Self.peer.split(separator: "\n").dropLast().joined(separator: "\n") + "\nAllowedIPs = 10.0.0.0/8"
        let uncovered = try plan("Address = 10.0.0.2/32\nDNS = 9.9.9.9, 10.1.1.1\n\(narrow)")
        #expect(uncovered.warnings == ["no AllowedIPs covers the DNS server 9.9.9.9: it cannot be reached"])
        #expect(try plan("Address = 10.0.0.2/32, fd00::2\nDNS = 9.9.9.9\n\(Self.peer)").warnings.isEmpty)
    }

    @Test func `addresses come from the file or from ipam, not from both; required ones must be there`() throws {
        let given = try #require(InterfaceAddress("10.9.9.9/24"))
        #expect(try plan(Self.peer) { $0.addresses = [given] }.addresses == [given])
        #expect { try plan("Address = 10.0.0.2/32\n\(Self.peer)") { $0.addresses = [given] } } throws: {
            ($0 as? TunnelError)?.kind == .configuration
        }
        let wanted = try #require(IPAddress("10.0.0.3"))
        #expect { try plan("Address = 10.0.0.2/32\n\(Self.peer)") { $0.requiredAddresses = [wanted] } } throws: {
            "\($0)".contains("10.0.0.3")
        }
    }

    @Test func `options override DNS and Table`() throws {
        let plan = try plan("DNS = 1.1.1.1\nTable = off\n\(Self.peer)") {
            $0.dns = ["10.0.0.1", "corp.example"]
            $0.table = "auto"
        }
        #expect(plan.dnsServers == [IPAddress("10.0.0.1")] && plan.searchDomains == ["corp.example"])
        #expect(plan.table == .auto)
        #expect { try self.plan(Self.peer) { $0.dns = ["bad word\u{1}"] } } throws: {
            ($0 as? TunnelError)?.kind == .usage
        }
    }

    @Test func `a file that others may write is refused for plugins, a readable one is a warning with the chmod`()
        throws
    {
        var options = PlanOptions(interface: try InterfaceName("wg0"))
        let path = try #require(try load("", options).path)
        chmod(path, 0o644)
        #expect(try ConfigurationLoader.load(.file(path), options).warnings.contains { $0.contains("chmod 600") })
        chmod(path, 0o666)
        options.refuseWritableFiles = true
        #expect { _ = try ConfigurationLoader.load(.file(path), options) } throws: { error in
            (error as? TunnelError)?.kind == .configurationFile && "\(error)".contains("chmod go-w")
        }
    }

    @Test func `keys in files are read, relative to the configuration, and named as secret paths`() throws {
        let options = PlanOptions(interface: try InterfaceName("wg0"))
        let key = PrivateKey.generate()
        var text = SecretText()
        text.append(base64Of: key.secret)
        try SecretFile.replace("\(temporary.root)/the.key", with: text, mode: 0o600)
        try File.replace("\(temporary.root)/ref.conf", with: "[Interface]\nPrivateKeyFile = the.key\n")
        let loaded = try ConfigurationLoader.load(.file("\(temporary.root)/ref.conf"), options)
        #expect(loaded.privateKey.publicKey == key.publicKey)
        #expect(loaded.secretPaths == ["\(temporary.root)/ref.conf", "\(temporary.root)/the.key"])
    }

    @Test func `resolv.conf holds the servers and the search domains`() throws {
        let server = try #require(IPAddress("10.0.0.1"))
        let text = NetnsFiles.resolvConf(servers: [server], searchDomains: ["a.example", "b.example"])
        #expect(text.contains("\nsearch a.example b.example\nnameserver 10.0.0.1\n"))
    }
}
