import Glibc
import LinuxSystem
import Namespaces
import Testing

@testable import Tunnels

struct EngineInspectionTests {
    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `P2: a descriptor of the target's namespace is a pin when it stays, not when it is open for a moment`() throws
    {
        let namespace = try NetworkNamespace.createAnonymous()
        let reference = NamespaceReference(namespace)
        let held = "descriptor \(namespace.descriptor.rawValue) of process \(getpid())"
        let brief = try namespace.descriptor.duplicate().release()
        let (_, pins) = beside({
            usleep(30_000)
            close(brief)
        }) { EngineInspection.pins(of: reference, [getpid()], looks: 50) }
        #expect(pins == [held])
        #expect(EngineInspection.pins(of: reference, [getpid()], looks: 1) == [held])
        withExtendedLifetime(namespace.descriptor.rawValue) {}
    }
}
