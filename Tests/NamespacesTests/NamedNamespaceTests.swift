import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Namespaces

/// Each body runs in a process of its own, with a mount namespace and a /run of its own.
@Suite(.enabled(if: getuid() == 0, "needs root"))
struct NamedNamespaceTests {
    @Test func `a named namespace is made and deleted as ip netns does`() async {
        await #expect(processExitsWith: .success) {
            try privateRun()
            let made = try NamedNamespace.create("blue")
            try require(NamedNamespace.list() == ["blue"])
            let opened = try NetworkNamespace.open(name: "blue")
            try require(opened.isSame(as: made))
            let ip = try Spawn(.path("/sbin/ip"), arguments: ["ip", "-n", "blue", "link", "set", "lo", "up"]).start()
                .wait()
            try require(ip == .exited(0))
            try require(NamedNamespace.delete("blue"))
            try require(!File.exists("/run/netns/blue"))
            try require(NamedNamespace.list() == [])
        }
    }

    @Test func `P4: deleting what is not there, twice or half made, succeeds`() async {
        await #expect(processExitsWith: .success) {
            try privateRun()
            try require(!NamedNamespace.delete("never"))
            _ = try NamedNamespace.create("green")
            try require(NamedNamespace.delete("green"))
            try require(!NamedNamespace.delete("green"))
            // What a crash between the name and the mount leaves.
            _ = try FileDescriptor.open("/run/netns/half", O_RDONLY | O_CREAT | O_EXCL, mode: 0)
            try require(NamedNamespace.delete("half"))
            try require(!File.exists("/run/netns/half"))
        }
    }

    @Test func `P5: delete touches neither other namespaces nor files with content`() async {
        await #expect(processExitsWith: .success) {
            try privateRun()
            let first = try NamedNamespace.create("red")
            let identity = first.identity
            try NamedNamespace.delete("red")
            _ = try NamedNamespace.create("red")
            try require(
                refusal { () throws(NamespaceError) in
                    _ = try NamedNamespace.delete("red", onlyIf: identity)
                } == .replaced(path: "/run/netns/red"))
            try require(NamedNamespace.list() == ["red"])
            try File.replace("/run/netns/notes", with: "mine")
            try require(
                refusal { () throws(NamespaceError) in
                    _ = try NamedNamespace.delete("notes")
                } == .notANamespace(path: "/run/netns/notes"))
            try require(File.exists("/run/netns/notes"))
            try require(
                refusal { () throws(NamespaceError) in
                    _ = try NamedNamespace.create("red")
                } == .nameTaken("red"))
            try NamedNamespace.delete("red")
        }
    }

    @Test func `a name deleted here vanishes in every other mount namespace`() async {
        await #expect(processExitsWith: .success) {
            try privateRun()
            _ = try NamedNamespace.create("shared")
            // A second mount namespace, receiving from this one as a container manager's does.
            var program = Spawn(
                .path("/usr/bin/unshare"), arguments: ["unshare", "-m", "--propagation", "slave", "sleep", "300"])
            program.parentDeathSignal = SIGKILL
            let observer = try program.start()
            let mounts = "/proc/\(observer.pid)/mounts"
            var sees = false
            for _ in 0..<5000 where !sees {
                usleep(10_000)
                let inOther =
                    try File.readLink("/proc/\(observer.pid)/ns/mnt") != File.readLink("/proc/thread-self/ns/mnt")
                sees = try inOther && File.readText(mounts).contains("/run/netns/shared")
            }
            try require(sees)
            try NamedNamespace.delete("shared")
            try require(!File.readText(mounts).contains("/run/netns/shared"))
            observer.kill()
        }
    }
}

private func refusal(_ body: () throws(NamespaceError) -> Void) -> NamespaceError? {
    do throws(NamespaceError) { try body() } catch { return error }
    return nil
}

private struct Unmet: Error {}

/// #require's message would not leave the child process; its exit status does.
private func require(_ condition: Bool, line: Int = #line) throws {
    if !condition {
        print("line \(line)")
        throw Unmet()
    }
}

/// A mount namespace with an empty /run, for this thread and those it starts.
private func privateRun() throws {
    try enterNewNamespaces(.mount)
    try systemCall("mount") { mount("", "/", "none", UInt(MS_REC) | UInt(MS_PRIVATE), nil) }
    try systemCall("mount") { mount("tmpfs", "/run", "tmpfs", 0, nil) }
}
