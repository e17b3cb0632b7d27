import IPAddressing
import JSON
import PluginSupport
import Synchronization
import Testing
import WireGuardCrypto

@testable import Netavark
@testable import Tunnels

/// A double of `TunnelKeeper`: remembers what it was asked.
final class RecordingTunnels: TunnelService {
    struct State {
        var request: AttachRequest?
        var detached: [TunnelID] = []
        var failure: TunnelError?
        var detachErrors: [TunnelError] = []
        var stateDirectories: [String?] = []
    }

    let state = Mutex(State())

    func attach(_ request: AttachRequest) throws(TunnelError) -> AttachReport {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        state.withLock { $0.request = request }
        guard let owner = request.owner, let key = PublicKey(bytes: [UInt8](repeating: 1, count: 32)) else {
            throw TunnelError(.usage, "no owner")
        }
        return AttachReport(
            id: owner.tunnelID, interface: request.interface, backend: .userspace, publicKey: key,
            addresses: ["10.7.0.2/32", "fd00::2/64"].compactMap { InterfaceAddress($0) }, routes: [], mtu: 1420,
            dnsServers: [IPAddress("10.7.0.1")].compactMap { $0 }, searchDomains: ["corp"], warnings: [], notices: [])
    }

    func detach(_ id: TunnelID) throws(TunnelError) -> TeardownReport {
        var report = TeardownReport()
        report.errors = state.withLock {
            $0.detached.append(id)
            return $0.detachErrors
        }
        return report
    }

    func collect(runtime: String, network: String, keep: Set<Tunnels.Attachment>) throws(TunnelError) -> TeardownReport
    {
        TeardownReport()
    }

    func list() throws(TunnelError) -> [TunnelSummary] { [] }
    func check(_ record: TunnelRecord, expecting expected: ExpectedNetwork?) throws(TunnelError) -> [CheckFinding] {
        []
    }
    func record(_ id: TunnelID) throws(TunnelError) -> TunnelRecord { throw TunnelError(.notFound, "") }
    func readiness(_ engine: EngineChoice) -> [TunnelError] { [] }
    func poolStatus(directory: String) throws(TunnelError) -> PoolStatus { PoolStatus(total: 0, free: 0, unusable: []) }
}

private func call(_ arguments: [String], _ input: String, _ tunnels: RecordingTunnels = .init()) throws -> NetavarkCall
{
    NetavarkCall(
        verb: try NetavarkCall.Verb(arguments), input: Array(input.utf8),
        tunnels: { directory in
            tunnels.state.withLock { $0.stateDirectories.append(directory) }
            return tunnels
        }, log: { _ in })
}

/// What podman 5 sends, recorded, with room for changes.
private func execution(
    options: String = #"{"configDir":"/k"}"#, perNetwork: String = "null", ports: String = "null", ips: String = "null",
    mac: String = "\"\""
) -> String {
    #"""
    {"container_id":"0123abcd","container_name":"web","port_mappings":\#(ports),
     "network":{"name":"egress","id":"ff","driver":"swg-netavark","network_interface":"","subnets":[],"ipv6_enabled":false,
     "internal":false,"dns_enabled":false,"ipam_options":{"driver":"none"},"options":\#(options),"network_dns_servers":null,
     "future_field":{"x":1}},
     "network_options":{"interface_name":"eth0","static_ips":\#(ips),"static_mac":\#(mac),"aliases":["web"],"options":\#(perNetwork)}}
    """#
}

private func failure(_ arguments: [String], _ input: String, _ tunnels: RecordingTunnels = .init()) -> String? {
    do {
        _ = try call(arguments, input, tunnels).answer()
        return nil
    } catch {
        return (error as? NetavarkError)?.text ?? "\(error)"
    }
}

@Suite struct CreateTests {
    private func network(_ options: String, _ more: String = "") -> String {
        #"{"name":"egress","id":"ff","driver":"swg-netavark","dns_enabled":true,"future":[1],"options":\#(options)\#(more)}"#
    }

    @Test func `create returns the network with its unknown members, and without podman's name server`() throws {
        let answer = try call(["create"], network(#"{"configDir":"/k"}"#)).answer()
        #expect(
            answer?.serialized
                == #"{"dns_enabled":false,"driver":"swg-netavark","future":[1],"id":"ff","name":"egress","options":{"configDir":"/k"}}"#
        )
    }

    @Test(arguments: [
        (#"{}"#, "configDir=FOLDER"), (#"{"configdir":"/k"}"#, "did you mean \"configDir\""),
        (#"{"config":"/a.conf","configDir":"/k"}"#, "only one"), (#"{"configDir":"k"}"#, "\"k\""),
        (#"{"configDir":"/k","mtu":"9"}"#, "mtu"), (#"{"configDir":"/k","engine":"go"}"#, "\"go\""),
        (#"{"configDir":"/k","bridge":"x"}"#, "bridge"),
        (#"{"configDir":"/k","soleInterface":"maybe"}"#, "soleInterface"),
        (#"{"config":"a/b"}"#, "a/b"), (#"{"configDir":5}"#, "a number"),
    ])
    func `create refuses a wrong option with key and value`(options: String, word: String) {
        #expect(failure(["create"], network(options))?.contains(word) == true)
    }

    @Test func `create refuses what a tunnel cannot be`() {
        let route = #","routes":[{"destination":"10.0.0.0/8","gateway":"10.0.0.1"}]"#
        #expect(failure(["create"], network(#"{"configDir":"/k"}"#, route))?.contains("--route") == true)
        let dns = #","network_dns_servers":["10.0.0.1","ns.example"]"#
        #expect(failure(["create"], network(#"{"configDir":"/k"}"#, dns))?.contains("ns.example") == true)
        let subnet = #","subnets":[{"subnet":"10.0.0.0/24","gateway":"10.0.0.1"}]"#
        #expect(failure(["create"], network(#"{"configDir":"/k"}"#, subnet))?.contains("--subnet") == true)
        #expect(
            failure(["create"], network(#"{"configDir":"/k"}"#, #","internal":true"#))?.contains("--internal") == true)
    }
}

@Suite struct SetupTests {
    @Test func `setup answers with netavark's status block`() throws {
        let tunnels = RecordingTunnels()
        let answer = try call(["setup", "/run/netns/x"], execution(), tunnels).answer()
        #expect(
            answer?.serialized
                == #"{"dns_search_domains":["corp"],"dns_server_ips":["10.7.0.1"],"interfaces":{"eth0":{"mac_address":"00:00:00:00:00:00","subnets":[{"ipnet":"10.7.0.2/32"},{"ipnet":"fd00::2/64"}]}}}"#
        )
        let request = try #require(tunnels.state.withLock { $0.request })
        #expect(request.configuration == .pool(directory: "/k"))
        #expect(request.target == .path("/run/netns/x"))
        #expect(request.owner?.runtime == "netavark" && request.owner?.containerName == "web")
        #expect(request.ownControlGroup && request.refuseWritableFiles)
    }

    @Test func `a container's own option picks one file of the pool, and nothing outside of it`() throws {
        let tunnels = RecordingTunnels()
        _ = try call(["setup", "/x"], execution(perNetwork: #"{"config":"team-a"}"#), tunnels).answer()
        #expect(tunnels.state.withLock { $0.request?.configuration } == .file("/k/team-a.conf"))
        for name in ["../a", "/etc/wireguard/boss.conf", ".hidden", ""] {
            #expect(failure(["setup", "/x"], execution(perNetwork: #"{"config":"\#(name)"}"#)) != nil)
        }
    }

    @Test func `allowChoice narrows what a container may pick`() {
        let options = #"{"configDir":"/k","allowChoice":"team-*,web"}"#
        #expect(failure(["setup", "/x"], execution(options: options, perNetwork: #"{"config":"team-a"}"#)) == nil)
        #expect(
            failure(["setup", "/x"], execution(options: options, perNetwork: #"{"config":"boss"}"#))?.contains("boss")
                == true)
    }

    @Test(arguments: [
        execution(perNetwork: #"{"confg":"a"}"#), execution(ports: #"[{"container_port":80,"host_port":8080}]"#),
        execution(ips: #"["10.7.0.x"]"#), execution(mac: "\"02:00:00:00:00:01\""), "", "{", "[]", "{}",
        #"{"container_id":"a"}"#,
    ])
    func `setup refuses what it cannot do, and never half-does it`(input: String) {
        let tunnels = RecordingTunnels()
        #expect(failure(["setup", "/x"], input, tunnels) != nil)
        #expect(tunnels.state.withLock { $0.request == nil })
    }

    @Test func `every option reaches the tunnel, and the network's name servers`() throws {
        let tunnels = RecordingTunnels()
        let options =
            #"{"config":"/k/own.conf","engine":"kernel","mtu":"1380","soleInterface":"false","waitForHandshake":"7","stateDir":"/s"}"#
        let input = execution(options: options, mac: "\"00:00:00:00:00:00\"").replacing(
            #""network_dns_servers":null"#, with: #""network_dns_servers":["10.0.0.1"]"#)
        _ = try call(["setup", "/x"], input, tunnels).answer()
        let request = try #require(tunnels.state.withLock { $0.request })
        #expect(request.configuration == .file("/k/own.conf"))
        #expect(request.engine == .kernel && request.mtu == 1380 && request.waitSeconds == 7)
        #expect(!request.soleInterface)
        #expect(request.dns == ["10.0.0.1"])
        #expect(tunnels.state.withLock { $0.stateDirectories } == ["/s"])
        _ = try call(["setup", "/x"], execution(options: #"{"configDir":"/k","waitForHandshake":"false"}"#), tunnels)
            .answer()
        #expect(tunnels.state.withLock { $0.request?.waitSeconds } == nil)
        _ = try call(
            ["setup", "/x"], execution(options: #"{"config":"/k/own.conf"}"#, perNetwork: #"{"config":"b"}"#), tunnels
        ).answer()
        #expect(tunnels.state.withLock { $0.request?.configuration } == .file("/k/b.conf"))
    }

    @Test func `requested addresses must be the file's`() throws {
        let tunnels = RecordingTunnels()
        _ = try call(["setup", "/x"], execution(ips: #"["10.7.0.3","fd00::3"]"#), tunnels).answer()
        #expect(tunnels.state.withLock { $0.request }?.requiredAddresses.map(\.description) == ["10.7.0.3", "fd00::3"])
    }

    @Test func `P6: a refusal by Tunnels reaches podman with its cure`() {
        let tunnels = RecordingTunnels()
        tunnels.state.withLock { $0.failure = TunnelError(.poolExhausted, "all 2 keys are in use", cure: "add a file") }
        #expect(failure(["setup", "/x"], execution(), tunnels) == "all 2 keys are in use; add a file")
    }
}

@Suite struct TeardownTests {
    @Test func `teardown finds the tunnel that setup made, whatever the options are now`() throws {
        let tunnels = RecordingTunnels()
        _ = try call(["setup", "/x"], execution(), tunnels).answer()
        let made = try #require(tunnels.state.withLock { $0.request?.owner?.tunnelID })
        for options in [#"{"configDir":"/k"}"#, #"{"rubbish":1}"#, "null"] {
            let input = execution(options: options, ports: #"[{"container_port":80}]"#, mac: "\"x\"")
            #expect(failure(["teardown", "/gone"], input, tunnels) == nil)
        }
        #expect(tunnels.state.withLock { $0.detached } == [made, made, made])
    }

    @Test func `teardown looks where setup put the state, and tells what it could not remove`() throws {
        let tunnels = RecordingTunnels()
        tunnels.state.withLock { $0.detachErrors = [TunnelError(.system, "RTM_DELLINK")] }
        let input = execution(options: #"{"configDir":"/k","stateDir":"/s"}"#)
        #expect(failure(["teardown", "/gone"], input, tunnels)?.contains("RTM_DELLINK") == true)
        #expect(tunnels.state.withLock { $0.stateDirectories } == ["/s"])
    }
}

@Suite struct InformationTests {
    @Test(arguments: [[], ["info"]])
    func `info tells the version of the API`(arguments: [String]) throws {
        #expect(try call(arguments, "").answer()?["api_version"] == .string("1.0.0"))
    }

    @Test(arguments: [["setup"], ["setup", "a", "b"], ["create", "x"], ["update"], ["teardown"]])
    func `another command line is refused with the usage`(arguments: [String]) {
        #expect(failure(arguments, "")?.contains("usage") == true)
    }
}
