import Glibc
import LinuxSystem
import Namespaces
import Testing

@Suite(.enabled(if: getuid() == 0, "needs root"))
struct OpenNamespaceTests {
    private func refusal(_ body: () throws(NamespaceError) -> Void) -> NamespaceError? {
        do throws(NamespaceError) { try body() } catch { return error }
        return nil
    }

    @Test func `P5: our own network namespace is refused unless asked for`() throws {
        let own = try NetworkNamespace.own()
        let path = "/proc/self/ns/net"
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(path: path) } == .isOurOwn(path: path))
        #expect(refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(pid: getpid()) } != nil)
        let again = try NetworkNamespace.open(pid: getpid(), allowOwn: true)
        #expect(again.identity == own.identity)
    }

    @Test func `P5, P6: each wrong target has its own error with the cure`() throws {
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(path: "/etc/passwd") }
                == .notANamespace(path: "/etc/passwd"))
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(path: "/proc/self/ns/mnt") }
                == .wrongType(path: "/proc/self/ns/mnt", type: "mount"))
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(path: "/nowhere/at/all") }
                == .notFound(path: "/nowhere/at/all", named: false))
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(name: "no-such-name-here") }
                == .notFound(path: "/run/netns/no-such-name-here", named: true))
        for name in ["", ".", "..", "../../etc", "a/b", String(repeating: "x", count: 256)] {
            #expect(
                refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(name: name) } == .invalidName(name)
            )
        }
        // A device is not even opened: O_PATH comes first.
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(path: "/dev/net/tun") }
                == .notANamespace(path: "/dev/net/tun"))
        #expect("\(NamespaceError.isOurOwn(path: "/x"))".contains("--create"))
    }

    @Test func `P5: a process that ended, or whose number is another process now, is refused`() throws {
        let child = try Spawn(.path("/bin/true"), arguments: ["true"]).start()
        let pid = child.pid
        _ = try child.wait()
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(pid: pid) } == .processGone(pid: pid))
        var other = try ProcessIdentity.of(1)
        other = ProcessIdentity(pid: 1, startTicks: other.startTicks &+ 1, bootID: other.bootID)
        #expect(
            refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(process: other, allowOwn: true) }
                == .processGone(pid: 1))
        for pid: Int32 in [0, -1] {
            #expect(
                refusal { () throws(NamespaceError) in _ = try NetworkNamespace.open(pid: pid) }
                    == .processGone(pid: pid))
        }
    }

    @Test func `the namespace of a process is the one it runs in`() throws {
        let namespace = try NetworkNamespace.createAnonymous()
        var program = Spawn(.path("/bin/sleep"), arguments: ["sleep", "30"])
        program.networkNamespace = namespace.descriptor.rawValue
        let child = try program.start()
        let found = try NetworkNamespace.open(pid: child.pid)
        #expect(found.identity == namespace.identity)
        let inside = try NamespaceProcesses.inside(namespace.identity)
        #expect(inside.pids == [child.pid])
        child.kill()
        let after = try NamespaceProcesses.inside(namespace.identity)
        #expect(after.pids.isEmpty)
    }

    @Test func `a socket is of the namespace that was asked for, seen from inside and from outside of it`() throws {
        let home = try NetworkNamespace.own()
        let other = try NetworkNamespace.createAnonymous()
        func cookie(_ namespace: borrowing NetworkNamespace) throws(SystemError) -> UInt64 {
            let socket = try namespace.openSocket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            return try NetworkNamespace.cookie(ofSocket: socket.rawValue)
        }
        let outside = try (cookie(home), cookie(other))
        let inside = try withNamespace(other) { () throws(SystemError) in [try cookie(home), try cookie(other)] }
        #expect(outside.0 != outside.1)
        #expect(inside == [outside.0, outside.1])
    }

    @Test func `identity, cookie and owner tell namespaces apart and handles alike`() throws {
        let first = try NetworkNamespace.createAnonymous()
        let second = try NetworkNamespace.createAnonymous()
        #expect(first.identity != second.identity)
        let copy = try first.duplicate()
        #expect(copy.identity == first.identity)
        let cookies = try [first.cookie(), second.cookie(), copy.cookie(), NetworkNamespace.own().cookie()]
        #expect(cookies[0] == cookies[2])
        #expect(Set(cookies).count == 3)
        let owner = try first.ownerUserNamespace().identity()
        let ours = try FileDescriptor.open("/proc/self/ns/user", O_RDONLY).identity()
        #expect(owner == ours)
    }

    @Test func `P6: what a refusal names cannot write to the terminal`() {
        let hostile = "/tmp/\u{1b}]0;owned\u{7}"
        let refusals: [NamespaceError] = [
            .notFound(path: hostile, named: false), .notANamespace(path: hostile), .invalidName(hostile),
            .nameTaken(hostile), .replaced(path: hostile),
        ]
        for refusal in refusals {
            #expect("\(refusal)".contains(#"/tmp/\u{1b}]0;owned\u{7}"#), "\(refusal)")
            #expect(!"\(refusal)".unicodeScalars.contains { $0.value < 0x20 })
        }
    }
}
