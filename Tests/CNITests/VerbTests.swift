import Glibc
import IPAddressing
import JSON
import LinuxSystem
import PluginSupport
import Synchronization
import Testing

@testable import CNI
@testable import Tunnels

private let ipam: [String: JSONValue?] = ["ipam": .object(["type": .string("fake-ipam"), "x": .integer(1)])]

func failure(_ call: PluginCall) -> PluginError? {
    do {
        _ = try call.answer()
        return nil
    } catch {
        return error
    }
}

@Suite struct AddTests {
    @Test func `ADD asks for the container's tunnel under the container's name and interface`() throws {
        let tunnels = FakeTunnels()
        let answer = try makeCall(.add, document(), tunnels, arguments: "K8S_POD_NAME=p;K8S_POD_NAMESPACE=n").answer()
        let request = try #require(tunnels.state.withLock { $0.attached.values.first })
        #expect(request.configuration == .pool(directory: "/etc/wireguard/egress.d"))
        #expect(request.target == .path("/run/netns/none"))
        #expect(
            request.owner
                == Owner(
                    runtime: "cni", network: "egress", containerID: "c1", interface: "eth0", podNamespace: "n",
                    podName: "p"))
        #expect(request.ownControlGroup && request.refuseWritableFiles && request.soleInterface)
        #expect(request.waitSeconds == nil)
        #expect(answer?["ips"]?.elements?.first?["address"] == .string("10.7.0.2/32"))
        #expect(answer?["interfaces"]?.elements?.first?["sandbox"] == .string("/run/netns/none"))
    }

    @Test func `with ipam the addresses are the delegate's, and it sees the whole configuration`() throws {
        let tunnels = FakeTunnels()
        let folder = try DelegateFolder()
        try folder.addWorking()
        let input = document(ipam)
        let answer = try makeCall(.add, input, tunnels, path: "/nowhere:\(folder.path)").answer()
        #expect(tunnels.state.withLock { $0.attached.values.first?.addresses }?.map(\.description) == ["10.9.0.5/24"])
        #expect(answer?["ips"]?.elements?.first?["address"] == .string("10.9.0.5/24"))
        #expect(try Array(File.readText("\(folder.path)/input.ADD").utf8) == input)
    }

    @Test func `P4: when the tunnel fails the delegate gets its DEL`() throws {
        let tunnels = FakeTunnels()
        tunnels.state.withLock { $0.failure = TunnelError(.engine, "it died") }
        let folder = try DelegateFolder()
        try folder.addWorking()
        let error = failure(try makeCall(.add, document(ipam), tunnels, path: folder.path))
        #expect(error?.code == 100)
        #expect(folder.log == ["ADD c1", "DEL c1"])
    }

    @Test(
        arguments: [
            (.keyInUse, 11), (.poolExhausted, 11), (.busy, 11), (.configuration, 7), (.configurationFile, 7),
            (.target, 4),
            (.unavailable, 100), (.notSole, 100),
        ] as [(TunnelError.Kind, Int64)])
    func `a refusal has the specification's code`(kind: TunnelError.Kind, code: Int64) throws {
        let tunnels = FakeTunnels()
        tunnels.state.withLock { $0.failure = TunnelError(kind, "held by tunnel x", cure: "do that") }
        let error = failure(try makeCall(.add, document(), tunnels))
        #expect(error?.code == code)
        #expect(error?.message == "held by tunnel x")
        #expect(error?.details == "do that")
    }

    @Test func `P6: a cure names the configuration's key, not the command line's option`() throws {
        let tunnels = FakeTunnels()
        tunnels.state.withLock {
            $0.failure = TunnelError(.notSole, "has v0", cure: "start it alone, or give it up with --keep-interfaces")
        }
        let error = failure(try makeCall(.add, document(), tunnels))
        #expect(error?.details == "start it alone, or give it up with \"soleInterface\": false")
    }

    @Test func `code 8: the plugin's own namespace is refused`() throws {
        let tunnels = FakeTunnels()
        #expect(failure(try makeCall(.add, document(), tunnels, netns: "/proc/self/ns/net"))?.code == 8)
        #expect(tunnels.state.withLock { $0.attached.isEmpty })
    }

    @Test func `requested addresses must be the file's; the capability comes first`() throws {
        let tunnels = FakeTunnels()
        let input = document(["args": .object(["cni": .object(["ips": .array([.string("10.7.0.3")])])])])
        _ = try makeCall(.add, input, tunnels, arguments: "IP=10.7.0.9").answer()
        #expect(
            tunnels.state.withLock { $0.attached.values.first?.requiredAddresses }?.map(\.description) == ["10.7.0.3"])
    }

    @Test func `CNI_ARGS IP may hold both families, with a comma, as for the reference plugins`() throws {
        let tunnels = FakeTunnels()
        _ = try makeCall(.add, document(), tunnels, arguments: "IP=10.7.0.3,fd00::3/64").answer()
        #expect(
            tunnels.state.withLock { $0.attached.values.first?.requiredAddresses }?.map(\.description)
                == ["10.7.0.3", "fd00::3"])
    }
}

@Suite struct DelegateTests {
    /// script, code, what the message must hold.
    @Test(
        arguments: [
            ("echo rubbish", 102, "not JSON"), ("echo '[]'", 102, "a list"), ("echo '{}'", 102, "no address"),
            ("echo '{\"ips\":[{\"address\":\"10.0.0.999/8\"}]}'", 102, "10.0.0.999"), ("exit 3", 102, "exit status 3"),
            ("kill -9 $$", 102, "signal 9"),
            ("echo '{\"code\":11,\"msg\":\"no IPs left\"}'; exit 1", 11, "no IPs left"),
            ("true", 102, "empty"), ("yes", 102, "bytes of output"),
        ] as [(String, Int64, String)])
    func `a delegate that fails or prints rubbish is named, and gets its DEL`(script: String, code: Int64, word: String)
        throws
    {
        let folder = try DelegateFolder()
        try folder.add("fake-ipam", "echo $CNI_COMMAND >> $log; [ $CNI_COMMAND = DEL ] && exit 0; \(script)")
        let error = failure(try makeCall(.add, document(ipam), FakeTunnels(), path: folder.path))
        #expect(error?.code == code, "\(String(describing: error))")
        #expect(error?.message.contains(word) == true, "\(String(describing: error))")
        #expect(error?.message.contains("fake-ipam") == true)
        #expect(folder.log == ["ADD", "DEL"])
    }

    @Test func `code 7: a delegate that is not in CNI_PATH is named`() throws {
        let error = failure(try makeCall(.add, document(ipam), FakeTunnels(), path: "/nowhere"))
        #expect(error?.code == 7)
        #expect(error?.message.contains("fake-ipam") == true && error?.message.contains("/nowhere") == true)
    }

    @Test func `code 4: no CNI_PATH at all`() throws {
        let error = failure(try makeCall(.add, document(ipam), FakeTunnels(), path: ""))
        #expect(error?.code == 4)
        #expect(error?.message.contains("CNI_PATH") == true)
    }
}

@Suite struct DeleteTests {
    @Test func `DEL reaches the delegate whatever happened to the tunnel`() throws {
        let tunnels = FakeTunnels()
        tunnels.state.withLock { $0.detachErrors = [TunnelError(.system, "RTM_DELLINK")] }
        let folder = try DelegateFolder()
        try folder.addWorking()
        let error = failure(try makeCall(.delete, document(ipam), tunnels, path: folder.path, netns: ""))
        #expect(error?.message == "RTM_DELLINK")
        #expect(folder.log == ["DEL c1"])
    }

    @Test func `DEL twice, without a namespace, for what never was`() throws {
        let tunnels = FakeTunnels()
        _ = try makeCall(.add, document(), tunnels).answer()
        for _ in 0..<2 { #expect(failure(try makeCall(.delete, document(), tunnels, netns: "")) == nil) }
        #expect(tunnels.state.withLock { $0.attached.isEmpty })
    }

    @Test func `DEL without the network's name goes by container and interface`() throws {
        let tunnels = FakeTunnels()
        _ = try makeCall(.add, document(), tunnels).answer()
        _ = try makeCall(.add, document(), tunnels, container: "other").answer()
        #expect(failure(try makeCall(.delete, document(["name": nil]), tunnels)) == nil)
        #expect(tunnels.state.withLock { $0.attached.values.map { $0.owner?.containerID } } == ["other"])
    }

    @Test func `DEL with a broken configuration takes down what is ours, and says code 6`() throws {
        let tunnels = FakeTunnels()
        _ = try makeCall(.add, document(), tunnels).answer()
        #expect(failure(try makeCall(.delete, Array("{\"name\":".utf8), tunnels))?.code == 6)
        #expect(tunnels.state.withLock { $0.attached.isEmpty })
    }

    @Test func `DEL tells the delegate of no namespace when CNI_NETNS has become the host's`() throws {
        let folder = try DelegateFolder()
        try folder.add("fake-ipam", "echo \"netns=$CNI_NETNS\" >> $log")
        #expect(
            failure(try makeCall(.delete, document(ipam), FakeTunnels(), path: folder.path, netns: "/proc/self/ns/net"))
                == nil)
        #expect(folder.log == ["netns="])
    }
}

@Suite struct GarbageCollectionTests {
    private func populated() throws -> FakeTunnels {
        let tunnels = FakeTunnels()
        for container in ["a", "b"] { _ = try makeCall(.add, document(), tunnels, container: container).answer() }
        _ = try makeCall(.add, document(["name": .string("other")]), tunnels, container: "a").answer()
        return tunnels
    }

    private func containers(_ tunnels: FakeTunnels) -> [String] {
        tunnels.state.withLock {
            $0.attached.values.compactMap { $0.owner.map { "\($0.network)/\($0.containerID)" } }.sorted()
        }
    }

    private let new: [String: JSONValue?] = ["cniVersion": .string("1.1.0")]

    @Test func `GC removes what is not listed, of this network only, and reaches the delegate`() throws {
        let tunnels = try populated()
        let folder = try DelegateFolder()
        try folder.addWorking()
        let list = JSONValue.array([.object(["containerID": .string("a"), "ifname": .string("eth0")])])
        let input = document(new.merging(ipam) { $1 }.merging(["cni.dev/valid-attachments": list]) { $1 })
        #expect(failure(try makeCall(.garbageCollect, input, tunnels, path: folder.path)) == nil)
        #expect(containers(tunnels) == ["egress/a", "other/a"])
        #expect(folder.log == ["GC c1"])
    }

    @Test func `GC without a list removes only what is dead`() throws {
        let tunnels = try populated()
        let dead = TunnelID(network: "egress", container: "b", interface: "eth0")
        tunnels.state.withLock { $0.phases[dead] = .orphaned }
        #expect(failure(try makeCall(.garbageCollect, document(new), tunnels)) == nil)
        #expect(containers(tunnels) == ["egress/a", "other/a"])
    }

    @Test func `GC goes on after an error and reports it`() throws {
        let tunnels = try populated()
        let folder = try DelegateFolder()
        try folder.add("fake-ipam", "echo '{\"code\":4,\"msg\":\"unknown CNI_COMMAND: GC\"}'; exit 1")
        let input = document(new.merging(ipam) { $1 }.merging(["cni.dev/valid-attachments": .array([])]) { $1 })
        #expect(failure(try makeCall(.garbageCollect, input, tunnels, path: folder.path))?.code == 4)
        #expect(containers(tunnels) == ["other/a"])
    }

    @Test(arguments: [(Verb.garbageCollect, "1.0.0"), (.status, "1.0.0"), (.check, "0.3.1")])
    func `code 1: a verb that the configuration's version has not`(verb: Verb, version: String) throws {
        let input = document(["cniVersion": .string(version)])
        #expect(failure(try makeCall(verb, input, FakeTunnels()))?.code == 1)
    }
}

@Suite struct StatusAndVersionTests {
    private func status(_ changes: [String: JSONValue?] = [:], _ prepare: (inout FakeTunnels.State) -> Void) throws
        -> PluginError?
    {
        let tunnels = FakeTunnels()
        tunnels.state.withLock { prepare(&$0) }
        return failure(
            try makeCall(.status, document(changes.merging(["cniVersion": .string("1.1.0")]) { $1 }), tunnels))
    }

    @Test func `STATUS is silent when ADD would work`() throws {
        #expect(try status { _ in } == nil)
    }

    @Test func `code 50: STATUS says what is missing`() throws {
        let error = try status { $0.readiness = [TunnelError(.unavailable, "no /dev/net/tun", cure: "modprobe tun")] }
        #expect(error?.code == 50)
        #expect(error?.message.contains("/dev/net/tun") == true)
    }

    @Test func `code 50: an exhausted pool, unless it counts as ready`() throws {
        #expect(try status { $0.pool.free = 0 }?.code == 50)
        #expect(try status(["exhaustedIsReady": .bool(true)]) { $0.pool.free = 0 } == nil)
        #expect(
            try status(["exhaustedIsReady": .bool(true)]) { $0.pool = PoolStatus(total: 0, free: 0, unusable: []) }?
                .code == 50)
    }

    @Test func `VERSION lists all, echoes what was asked, and looks at nothing else`() throws {
        let answer = try makeCall(.version, Array(#"{"cniVersion":"0.4.0"}"#.utf8), FakeTunnels()).answer()
        #expect(
            answer?.serialized
                == #"{"cniVersion":"0.4.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#
        )
    }

    @Test(arguments: ["", "rubbish", "[]", #"{"cniVersion":5}"#])
    func `VERSION answers also without anything readable on standard input`(input: String) throws {
        let answer = try makeCall(.version, Array(input.utf8), FakeTunnels()).answer()
        #expect(answer?["cniVersion"] == .string("1.1.0"))
        #expect(answer?["supportedVersions"]?.elements?.count == 7)
    }

    @Test func `STATUS reaches the delegate, whatever is missing here, and passes its error on`() throws {
        let folder = try DelegateFolder()
        try folder.add("fake-ipam", #"echo $CNI_COMMAND >> $log; echo '{"code":51,"msg":"no range"}'; exit 1"#)
        let input = document(ipam.merging(["cniVersion": .string("1.1.0")]) { $1 })
        let tunnels = FakeTunnels()
        #expect(failure(try makeCall(.status, input, tunnels, path: folder.path))?.code == 51)
        tunnels.state.withLock { $0.readiness = [TunnelError(.unavailable, "no /dev/net/tun")] }
        let error = failure(try makeCall(.status, input, tunnels, path: folder.path))
        #expect(error?.code == 50)
        #expect(error?.details.contains("no range") == true)
        #expect(folder.log == ["STATUS", "STATUS"])
    }

    @Test(arguments: [TunnelError.Kind.notFound, .state])
    func `CHECK reaches the delegate, whatever is wrong here, and tells of both`(kind: TunnelError.Kind) throws {
        let folder = try DelegateFolder()
        try folder.add(
            "fake-ipam", #"cat >/dev/null; echo $CNI_COMMAND >> $log; echo '{"code":101,"msg":"no lease"}'; exit 1"#)
        let tunnels = FakeTunnels()
        tunnels.state.withLock { $0.recordFailure = TunnelError(kind, "state.json cannot be read") }
        let input = document(ipam.merging(["prevResult": .object([:])]) { $1 })
        let error = failure(try makeCall(.check, input, tunnels, path: folder.path))
        #expect(error?.code == (kind == .notFound ? 101 : 100))
        #expect(error?.details.contains("no lease") == true)
        #expect(folder.log == ["CHECK"])
    }

    @Test func `CHECK wants prevResult, and a tunnel`() throws {
        #expect(failure(try makeCall(.check, document(), FakeTunnels()))?.code == 7)
        let error = failure(try makeCall(.check, document(["prevResult": .object([:])]), FakeTunnels()))
        #expect(error?.code == 101)
        #expect(error?.message.contains("c1") == true)
    }
}
