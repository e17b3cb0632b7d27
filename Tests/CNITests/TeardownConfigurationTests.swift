import JSON
import PluginSupport
import Testing
import Tunnels

@testable import CNI

@Suite struct TeardownConfigurationTests {
    @Test func `DEL: whatever else is wrong does not matter`() throws {
        let read = try TeardownConfiguration(
            document([
                "configDir": .integer(5), "mtu": .string("x"), "cniVersion": .string("9.9.9"), "configdir": .null,
                "runtimeConfig": .bool(true),
            ]))
        #expect(read.name == "egress")
        #expect(read.ipamType == nil)
    }

    @Test func `DEL: a missing name, a wrong stateDir and a wrong ipam are passed over with a line`() throws {
        let read = try TeardownConfiguration(
            document(["name": nil, "stateDir": .string("x"), "ipam": .string("host-local")]))
        #expect(read.name == nil && read.stateDirectory == nil && read.ipamType == nil)
        #expect(read.notices.count == 3)
    }

    @Test func `GC: both list keys are honoured, null is empty, absent is unknown`() throws {
        func valid(_ changes: [String: JSONValue?]) throws -> Set<Tunnels.Attachment>? {
            try TeardownConfiguration(document(changes)).validAttachments
        }
        let a = JSONValue.array([.object(["containerID": .string("a"), "ifname": .string("eth0")])])
        let b = JSONValue.array([.object(["containerID": .string("b"), "ifname": .string("eth0")])])
        let isA = Tunnels.Attachment(containerID: "a", interface: "eth0")
        let isB = Tunnels.Attachment(containerID: "b", interface: "eth0")
        #expect(try valid(["cni.dev/valid-attachments": a]) == [isA])
        #expect(try valid(["cni.dev/attachments": a]) == [isA])
        #expect(try valid(["cni.dev/valid-attachments": a, "cni.dev/attachments": b]) == [isA, isB])
        #expect(try valid(["cni.dev/valid-attachments": .null]) == [])
        #expect(try valid(["cni.dev/valid-attachments": .array([])]) == [])
        #expect(try valid([:]) == nil)
    }

    @Test(arguments: [JSONValue.string("x"), .array([.string("a")]), .array([.object(["containerID": .string("a")])])])
    func `GC: a list that cannot be read condemns nobody`(list: JSONValue) throws {
        #expect(try TeardownConfiguration(document(["cni.dev/valid-attachments": list])).validAttachments == nil)
    }
}
