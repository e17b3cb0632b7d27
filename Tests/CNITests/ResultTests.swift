import IPAddressing
import JSON
import PluginSupport
import Testing

@testable import CNI

@Suite struct ResultTests {
    private let result = AddResult(
        interface: .init(name: "eth0", sandbox: "/var/run/netns/x", mtu: 1420),
        addresses: [InterfaceAddress("10.7.0.2/32"), InterfaceAddress("fd00::2/64")].compactMap { $0 },
        routes: [.init(destination: .everythingIPv4), .init(destination: .everythingIPv6)],
        dns: .init(nameservers: ["10.7.0.1"], search: ["corp"]))

    private func encoded(_ version: String, previous: String? = nil) throws -> String {
        let before = try previous.map { try JSONValue.parse(Array($0.utf8)) }
        let version = try #require(SpecificationVersion(rawValue: version))
        return try result.encoded(version, previous: before).serialized
    }

    @Test(arguments: ["0.3.0", "0.3.1", "0.4.0"])
    func `up to 0-4-0 an address tells its version`(version: String) throws {
        #expect(
            try encoded(version)
                == #"{"cniVersion":"\#(version)","dns":{"nameservers":["10.7.0.1"],"search":["corp"]},"interfaces":[{"mac":"00:00:00:00:00:00","name":"eth0","sandbox":"/var/run/netns/x"}],"ips":[{"address":"10.7.0.2/32","interface":0,"version":"4"},{"address":"fd00::2/64","interface":0,"version":"6"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}"#
        )
    }

    @Test func `1-0-0 has no address version, 1-1-0 has the MTU`() throws {
        let ips = #""ips":[{"address":"10.7.0.2/32","interface":0},{"address":"fd00::2/64","interface":0}]"#
        #expect(try encoded("1.0.0").contains(ips))
        #expect(try !encoded("1.0.0").contains("mtu"))
        #expect(try encoded("1.1.0").contains(ips))
        #expect(try encoded("1.1.0").contains(#""mtu":1420"#))
    }

    @Test(arguments: ["0.1.0", "0.2.0"])
    func `the oldest form has one address per family`(version: String) throws {
        #expect(
            try encoded(version)
                == #"{"cniVersion":"\#(version)","dns":{"nameservers":["10.7.0.1"],"search":["corp"]},"ip4":{"ip":"10.7.0.2/32","routes":[{"dst":"0.0.0.0/0"}]},"ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0"}]}}"#
        )
    }

    @Test func `prevResult is carried on, foreign members included, and our index counts on`() throws {
        let before =
            #"{"cniVersion":"1.0.0","interfaces":[{"name":"lo","sandbox":"/x"},{"name":"h","x-own":1}],"ips":[{"address":"127.0.0.1/8","interface":0}],"routes":[{"dst":"10.0.0.0/8","gw":"10.0.0.1"}],"dns":{"nameservers":["1.1.1.1"],"options":["ndots:1"]},"x":[1]}"#
        let after = try encoded("1.0.0", previous: before)
        #expect(after.contains(#"{"name":"lo","sandbox":"/x"},{"name":"h","x-own":1},{"mac""#))
        #expect(after.contains(#"{"address":"127.0.0.1/8","interface":0},{"address":"10.7.0.2/32","interface":2}"#))
        #expect(after.contains(#""routes":[{"dst":"10.0.0.0/8","gw":"10.0.0.1"},{"dst":"0.0.0.0/0"}"#))
        #expect(after.contains(#""nameservers":["10.7.0.1","1.1.1.1"]"#))
        #expect(after.contains(#""options":["ndots:1"]"#))
        #expect(after.contains(#""x":[1]"#))
    }

    @Test func `our own domain comes before an earlier plugin's`() throws {
        var own = result
        own.dns.domain = "ours"
        let before = JSONValue.object(["dns": .object(["domain": .string("theirs")])])
        #expect(try own.encoded(.v1_0_0, previous: before)["dns"]?["domain"] == .string("ours"))
        #expect(try result.encoded(.v1_0_0, previous: before)["dns"]?["domain"] == .string("theirs"))
    }

    @Test func `an error object has version, code, text and details`() {
        let error = PluginError(.invalidConfiguration, "mtu: 1 is small", details: "more")
        #expect(
            error.object(.v1_0_0).serialized
                == #"{"cniVersion":"1.0.0","code":7,"details":"more","msg":"mtu: 1 is small"}"#)
    }
}
