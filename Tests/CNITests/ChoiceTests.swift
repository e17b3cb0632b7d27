import JSON
import PluginSupport
import Testing
import Tunnels

@testable import CNI

@Suite struct ChoiceTests {
    private func source(
        _ changes: [String: JSONValue?] = [:], arguments: String = "", annotation: String? = nil
    ) throws -> ConfigurationSource {
        var configuration = try NetworkConfiguration(document(changes))
        if let annotation { configuration.runtime.annotations[ContainerChoice.annotation] = annotation }
        return try ContainerChoice(configuration: configuration, arguments: CNIArguments(arguments)).source()
    }

    private let allowed: [String: JSONValue?] = ["allowChoice": .array([.string("team-*"), .string("/srv/wg/*.conf")])]

    @Test func `without a wish the operator's source is taken`() throws {
        #expect(try source() == .pool(directory: "/etc/wireguard/egress.d"))
        #expect(try source(allowed) == .pool(directory: "/etc/wireguard/egress.d"))
    }

    @Test func `a pod's name is no wish unless byName says so`() throws {
        #expect(try source(allowed, arguments: "K8S_POD_NAME=team-pod") == .pool(directory: "/etc/wireguard/egress.d"))
    }

    @Test func `beside one file, a name is a file of its folder`() throws {
        let changes = allowed.merging(["configDir": nil, "config": .string("/srv/wg/own.conf")]) { $1 }
        #expect(try source(changes, arguments: "SWG_CONFIG=team-a") == .file("/srv/wg/team-a.conf"))
    }

    @Test func `a wish is refused where choice is off, never passed over`() {
        let error = #expect(throws: PluginError.self) { try source(arguments: "SWG_CONFIG=team-a") }
        #expect(error?.code == 7)
        #expect(error?.details.contains("allowChoice") == true)
        #expect(throws: PluginError.self) { try source(annotation: "team-a") }
    }

    @Test(arguments: ["team-a", "team-a.conf"])
    func `an allowed name is a file of the pool`(wish: String) throws {
        #expect(try source(allowed, arguments: "SWG_CONFIG=\(wish)") == .file("/etc/wireguard/egress.d/team-a.conf"))
        #expect(try source(allowed, annotation: wish) == .file("/etc/wireguard/egress.d/team-a.conf"))
    }

    @Test(arguments: [
        "boss", "../team-a", "team-a/../../boss", "/etc/wireguard/boss.conf", "/srv/wg/../boss.conf",
        "/srv/wg/x/y.conf",
        "/srv/wg//y.conf", "", "team-a\nx", "/", "team-*/x",
    ])
    func `what no pattern allows, or could climb out, is refused`(wish: String) {
        let error = #expect(throws: PluginError.self) { try source(allowed, arguments: "SWG_CONFIG=\(wish)") }
        #expect(error?.code == 7)
    }

    @Test func `a path that a pattern allows in full is taken`() throws {
        #expect(try source(allowed, arguments: "SWG_CONFIG=/srv/wg/a.conf") == .file("/srv/wg/a.conf"))
    }

    @Test func `CNI_ARGS wins over the annotation, the annotation over the name`() throws {
        let changes = allowed.merging(["byName": .bool(true)]) { $1 }
        let pod = "K8S_POD_NAME=team-pod"
        #expect(try source(changes, arguments: pod) == .file("/etc/wireguard/egress.d/team-pod.conf"))
        #expect(
            try source(changes, arguments: pod, annotation: "team-b") == .file("/etc/wireguard/egress.d/team-b.conf"))
        #expect(
            try source(changes, arguments: pod + ";SWG_CONFIG=team-c", annotation: "team-b")
                == .file("/etc/wireguard/egress.d/team-c.conf"))
        #expect(throws: PluginError.self) { try source(changes, arguments: "K8S_POD_NAME=other") }
    }
}
