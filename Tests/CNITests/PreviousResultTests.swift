import Glibc
import IPAddressing
import JSON
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

    private func expectations(_ text: String) throws -> (expected: ExpectedNetwork?, problems: [String]) {
        PreviousResult(try JSONValue.parse(Array(text.utf8))).expectations(of: record, environment)
    }

    private let own = #"{"name":"eth0","sandbox":"/x"}"#

    @Test func `an interface of that name on the host is not the container's`() throws {
        #expect(try expectations(#"{"interfaces":[{"name":"eth0","sandbox":""}]}"#).problems.count == 1)
        #expect(try expectations("{}").problems.count == 1)
    }

    @Test func `what it says of our interface has to be there, whoever put it there`() throws {
        let (expected, problems) = try expectations(
            #"{"interfaces":[\#(own)],"ips":[{"interface":0,"address":"10.7.0.9/24"}],"routes":[{"dst":"10.0.0.0/8"}]}"#
        )
        #expect(problems == [])
        #expect(expected?.addresses == [try #require(InterfaceAddress("10.7.0.9/24"))])
        #expect(expected?.routes == [try #require(IPPrefix("10.0.0.0/8"))])
    }

    @Test func `what a later plugin took away is not expected`() throws {
        let (expected, problems) = try expectations(#"{"interfaces":[\#(own)],"ips":[],"routes":[]}"#)
        #expect(problems == [])
        #expect(expected?.addresses == [] && expected?.routes == [])
    }

    @Test func `rubbish in it is named`() throws {
        let problems = try expectations(
            #"{"interfaces":[\#(own)],"ips":[{"interface":0,"address":"10.7.0.300/32"}],"routes":[{"dst":"x"}]}"#
        ).problems
        #expect(problems.count == 2)
        #expect(problems.first?.contains("10.7.0.300") == true && problems.last?.contains("\"x\"") == true)
    }

    @Test func `addresses and routes of another interface in the container are its own`() throws {
        let other = #"{"name":"net1","sandbox":"/x"}"#
        let (expected, problems) = try expectations(
            #"{"interfaces":[\#(own),\#(other)],"ips":[{"interface":1,"address":"10.7.0.9/32"}],"routes":[{"dst":"10.0.0.0/8"},{"dst":"0.0.0.0/0"}]}"#
        )
        #expect(problems == [] && expected?.addresses == [])
        #expect(expected?.routes == [.everythingIPv4])
    }
}
