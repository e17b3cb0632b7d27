import Glibc
import LinuxSystem
import PluginSupport
import Testing

@testable import CNI
@testable import Tunnels

/// CHECK's comparison of `prevResult` with what ADD made.
@Suite struct PreviousResultTests {
    private let record: TunnelRecord
    private let environment: PluginEnvironment

    init() throws {
        let place = #"{"device":1,"inode":2}"#
        let text = #"""
            {"format":1,"id":"c1","interface":"eth0","backend":"userspace","publicKey":"","target":"","namespace":\#(place),
             "birthplace":\#(place),"addresses":["10.7.0.2/32"],"routes":["0.0.0.0/0"],"table":"auto","mtu":1420,
             "dnsServers":[],"searchDomains":[],"soleInterface":true,"runHooks":false,"savesConfiguration":false,
             "attachedAt":0,"bootID":""}
            """#
        let path = "/tmp/swg-cni-record-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { unlink(path) }
        try File.replace(path, with: text, mode: 0o600)
        record = try #require(try StateFile.read(TunnelRecord.self, from: path))
        environment = try PluginEnvironment([
            "CNI_COMMAND": "CHECK", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": "eth0",
        ])
    }

    private func contradictions(_ text: String) throws -> [String] {
        PreviousResult(try JSONValue.parse(Array(text.utf8))).contradictions(to: record, environment)
    }

    private let own = #"{"name":"eth0","sandbox":"/x"}"#

    @Test func `what ADD made is in order`() throws {
        #expect(
            try contradictions(
                #"{"interfaces":[\#(own)],"ips":[{"interface":0,"address":"10.7.0.2/32"}],"routes":[{"dst":"0.0.0.0/0"}]}"#
            )
                == [])
    }

    @Test func `an interface of that name on the host is not the container's`() throws {
        #expect(try contradictions(#"{"interfaces":[{"name":"eth0","sandbox":""}]}"#).count == 1)
        #expect(try contradictions("{}").count == 1)
    }

    @Test func `an address or a route that ADD did not make is named`() throws {
        let said = try contradictions(
            #"{"interfaces":[\#(own)],"ips":[{"interface":0,"address":"10.7.0.9/32"}],"routes":[{"dst":"10.0.0.0/8"}]}"#
        )
        #expect(said.count == 2)
        #expect(said.first?.contains("10.7.0.9/32") == true && said.last?.contains("10.0.0.0/8") == true)
    }

    @Test func `addresses and routes of another interface in the container are its own`() throws {
        let other = #"{"name":"net1","sandbox":"/x"}"#
        #expect(
            try contradictions(
                #"{"interfaces":[\#(own),\#(other)],"ips":[{"interface":1,"address":"10.7.0.9/32"}],"routes":[{"dst":"10.0.0.0/8"}]}"#
            )
                == [])
    }
}
