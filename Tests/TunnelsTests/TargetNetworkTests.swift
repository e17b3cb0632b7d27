import Glibc
import LinuxSystem
import Namespaces
import Netlink
import Testing

@testable import Tunnels

struct TargetNetworkTests {
    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `P5: a namespace is found by its file and known by its cookie, another in its place is not taken`() throws {
        let namespace = try NetworkNamespace.createAnonymous()
        let path = "/proc/self/fd/\(namespace.descriptor.rawValue)"
        var reference = NamespaceReference(namespace, path: path)
        #expect(try TargetNetwork.open(reference)?.netlink.links().map(\.name) == ["lo"])
        // One with the number of an ended one.
        guard let cookie = reference.cookie else { return }
        reference.cookie = cookie &+ 1
        #expect(try TargetNetwork.open(reference) == nil)
        // The file of another.
        reference.cookie = cookie
        reference.inode += 1
        #expect(try TargetNetwork.open(reference) == nil)
    }
}
