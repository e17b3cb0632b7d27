import Glibc
import LinuxSystem
import Namespaces
import Testing

@Suite(.enabled(if: getuid() == 0, "needs root"))
struct NamespaceThreadTests {
    private func here() throws(SystemError) -> FileIdentity {
        try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY).identity()
    }

    @Test func `P5: the body runs inside, and the caller's thread never leaves its namespace`() throws {
        let namespace = try NetworkNamespace.createAnonymous()
        let before = try here()
        let inside = try withNamespace(namespace) { () throws(SystemError) in try here() }
        #expect(inside == namespace.identity)
        #expect(try here() == before)
    }

    @Test func `an error of the body arrives, and a second entry works after it`() throws {
        let namespace = try NetworkNamespace.createAnonymous()
        let thrown = #expect(throws: SystemError.self) {
            try withNamespace(namespace) { () throws(SystemError) in
                throw SystemError(call: "planned", errno: Errno(EDOM))
            }
        }
        #expect(thrown?.call == "planned")
        let answer = try withNamespace(namespace) { () throws(SystemError) in 42 }
        #expect(answer == 42)
    }

    @Test func `signals stay with the other threads`() throws {
        func blocksTerminate() -> Bool {
            var mask = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &mask)
            return sigismember(&mask, SIGTERM) == 1
        }
        let before = blocksTerminate()
        let inside = try onDedicatedThread { () throws(SystemError) in blocksTerminate() }
        #expect(inside)
        #expect(blocksTerminate() == before)
    }

    @Test func `many entries at once do not disturb each other`() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let namespace = try NetworkNamespace.createAnonymous()
                    let inside = try withNamespace(namespace) { () throws(SystemError) in
                        try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY).identity()
                    }
                    return inside == namespace.identity
                }
            }
            for try await same in group { #expect(same) }
        }
    }
}
