import Glibc
import JSON
import LinuxSystem
import PluginSupport
import Synchronization
import Testing

@testable import CNI
@testable import Tunnels

private let ipam: [String: JSONValue?] = ["ipam": .object(["type": .string("fake-ipam")])]

/// What each key becomes in the request, and what becomes of the answer.
@Suite struct RequestTests {
    private func request(_ changes: [String: JSONValue?]) throws -> AttachRequest {
        let tunnels = FakeTunnels()
        _ = try makeCall(.add, document(changes), tunnels).answer()
        return try #require(tunnels.state.withLock { $0.attached.values.first })
    }

    @Test func `every key reaches the tunnel`() throws {
        let request = try request([
            "engine": .string("kernel"), "mtu": .integer(1380), "soleInterface": .bool(false),
            "waitForHandshake": .integer(7),
        ])
        #expect(request.engine == .kernel)
        #expect(request.mtu == 1380)
        #expect(!request.soleInterface)
        #expect(request.waitSeconds == 7)
    }

    @Test func `dns: the runtime's before the network's before the file's`() throws {
        let own = JSONValue.object([
            "nameservers": .array([.string("10.0.0.1")]), "search": .array([.string("own")]),
            "options": .array([.string("ndots:1")]),
        ])
        let asked = JSONValue.object(["dns": .object(["servers": .array([.string("10.0.0.2")])])])
        #expect(try request([:]).dns == nil)
        #expect(try request(["dns": own]).dns == ["10.0.0.1", "own"])
        #expect(try request(["dns": own, "runtimeConfig": asked]).dns == ["10.0.0.2"])
        let answer = try makeCall(.add, document(["dns": own]), FakeTunnels()).answer()
        #expect(answer?["dns"]?["options"] == .array([.string("ndots:1")]))
    }

    @Test func `the delegate's dns counts where nobody else has any`() throws {
        let folder = try DelegateFolder()
        try folder.add(
            "fake-ipam",
            #"cat >/dev/null; echo '{"ips":[{"address":"10.9.0.5/24"}],"dns":{"nameservers":["10.9.0.1"]}}'"#)
        let tunnels = FakeTunnels()
        let nameservers = { (answer: JSONValue?) in answer?["dns"]?["nameservers"] }
        #expect(
            nameservers(try makeCall(.add, document(ipam), tunnels, path: folder.path).answer())
                == .array([.string("10.7.0.1")]))
        tunnels.state.withLock { $0.fileDNS = [] }
        #expect(
            nameservers(try makeCall(.add, document(ipam), tunnels, path: folder.path).answer())
                == .array([.string("10.9.0.1")]))
    }

    @Test func `a delegate may answer in the oldest form`() throws {
        let folder = try DelegateFolder()
        try folder.add(
            "fake-ipam", #"cat >/dev/null; echo '{"ip4":{"ip":"10.9.0.5/24"},"ip6":{"ip":"fd00::5/64"}}'"#)
        let answer = try makeCall(.add, document(ipam), FakeTunnels(), path: folder.path).answer()
        #expect(answer?["ips"]?.elements?.compactMap { $0["address"]?.text } == ["10.9.0.5/24", "fd00::5/64"])
    }

    @Test func `P4: a result that the version cannot say takes the tunnel down again`() throws {
        let tunnels = FakeTunnels()
        tunnels.state.withLock { $0.fileAddresses = [] }
        let error = failure(try makeCall(.add, document(["cniVersion": .string("0.2.0")]), tunnels))
        #expect(error?.code == 7)
        #expect(tunnels.state.withLock { $0.attached.isEmpty })
    }

    @Test(arguments: [("1", true), ("true", true), ("TRUE", true), ("0", false), ("yes", false), ("", false)])
    func `CNI_NETNS_OVERRIDE lets ADD work on the plugin's own namespace`(value: String, isAllowed: Bool) throws {
        let call = try makeCall(
            .add, document(), FakeTunnels(), netns: "/proc/self/ns/net", more: ["CNI_NETNS_OVERRIDE": value])
        #expect(failure(call)?.code == (isAllowed ? nil : 8))
    }

    @Test func `a folder in CNI_PATH is no delegate, and one that is just being written is tried again`() throws {
        let folder = try DelegateFolder()
        try folder.addWorking()
        let other = folder.path + "/other"
        try File.makeDirectories(other + "/fake-ipam")
        defer {
            rmdir(other + "/fake-ipam")
            rmdir(other)
        }
        let writer = Glibc.open(folder.path + "/fake-ipam", O_WRONLY)
        var thread = pthread_t()
        let started = pthread_create(
            &thread, nil,
            { argument in
                usleep(80_000)
                close(Int32(Int(bitPattern: argument)))
                return nil
            }, UnsafeMutableRawPointer(bitPattern: Int(writer)))
        #expect(started == 0)
        let call = try makeCall(.add, document(ipam), FakeTunnels(), path: "\(other):\(folder.path)")
        #expect(failure(call) == nil)
        pthread_join(thread, nil)
    }

    @Test func `code 50: STATUS names a file that cannot be read`() throws {
        let input = document([
            "cniVersion": .string("1.1.0"), "configDir": nil, "config": .string("/nowhere/a.conf"),
        ])
        let error = failure(try makeCall(.status, input, FakeTunnels()))
        #expect(error?.code == 50)
        #expect(error?.message.contains("/nowhere/a.conf") == true)
    }
}

@Suite struct TeardownOfOthersTests {
    @Test func `DEL without a name leaves another interface and another runtime's tunnel alone`() throws {
        let tunnels = FakeTunnels()
        for (runtime, interface) in [("cni", "eth1"), ("netavark", "eth0")] {
            var request = AttachRequest(
                configuration: .file("/x"), target: .path("/x"), interface: try InterfaceName(interface))
            request.owner = Owner(runtime: runtime, network: "egress", containerID: "c1", interface: interface)
            _ = try tunnels.attach(request)
        }
        #expect(failure(try makeCall(.delete, document(["name": nil]), tunnels)) == nil)
        #expect(tunnels.state.withLock { $0.attached.count } == 2)
    }

    @Test func `DEL takes the tunnel and says so when the delegate is gone`() throws {
        let tunnels = FakeTunnels()
        _ = try makeCall(.add, document(), tunnels).answer()
        let error = failure(try makeCall(.delete, document(ipam), tunnels))
        #expect(error?.code == 7)
        #expect(error?.message.contains("fake-ipam") == true)
        #expect(tunnels.state.withLock { $0.attached.isEmpty })
    }

    @Test func `GC without a list leaves another network's dead tunnel alone, and reports what it could not remove`()
        throws
    {
        let tunnels = FakeTunnels()
        for network in ["egress", "other"] {
            _ = try makeCall(.add, document(["name": .string(network)]), tunnels).answer()
            let id = TunnelID(network: network, container: "c1", interface: "eth0")
            tunnels.state.withLock { $0.phases[id] = .orphaned }
        }
        tunnels.state.withLock { $0.detachErrors = [TunnelError(.system, "RTM_DELLINK")] }
        let error = failure(try makeCall(.garbageCollect, document(["cniVersion": .string("1.1.0")]), tunnels))
        #expect(error?.message == "RTM_DELLINK")
        #expect(tunnels.state.withLock { $0.attached.values.compactMap { $0.owner?.network } } == ["other"])
    }
}
