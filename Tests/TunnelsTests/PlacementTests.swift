import Glibc
import LinuxSystem
import Testing

@testable import Tunnels

@Suite struct DBusMessageTests {
    @Test func `what is written is read back, and nothing of it while a byte is missing`() throws {
        var message = SystemdScope.request(unit: "swg-ns-x.scope", description: "d", processes: [1, 4711])
        message.serial = 7
        let bytes = message.encoded()
        for count in 0..<bytes.count { #expect(try DBusMessage.decode(Array(bytes[..<count])) == nil) }
        let (read, count) = try #require(try DBusMessage.decode(bytes + [1, 2, 3]))
        #expect(count == bytes.count)
        #expect(read.serial == 7)
        #expect(read.member == "StartTransientUnit")
        #expect(read.path == "/org/freedesktop/systemd1")
        #expect(read.signature == "ssa(sv)a(sa(sv))")
        #expect(read.body == message.body)
    }

    @Test func `bytes that are no message are refused, never a trap`() {
        var seed: UInt64 = 1
        var refused = 0
        let good = SystemdScope.request(unit: "u", description: "d", processes: [1]).encoded()
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<3 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(seed >> 33) % bytes.count] = UInt8(truncatingIfNeeded: seed >> 24)
            }
            do { _ = try DBusMessage.decode(bytes) } catch { refused += 1 }
        }
        #expect(refused > 1000)
    }
}

@Suite struct ControlGroupTests {
    @Test func `both versions of control groups are found where they are mounted`() {
        let text = """
            25 1 0:23 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs ro
            30 25 0:32 / /sys/fs/cgroup/memory rw shared:15 - cgroup cgroup rw,memory
            37 25 0:37 / /sys/fs/cgroup/systemd rw shared:15 - cgroup cgroup rw,xattr,name=systemd
            38 25 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            39 25 0:38 /sub /elsewhere rw - cgroup2 cgroup2 rw
            """
        #expect(
            ControlGroup.mountPoints(mountInformation: text) == [
                "memory": "/sys/fs/cgroup/memory", "name=systemd": "/sys/fs/cgroup/systemd",
                "": "/sys/fs/cgroup/unified",
            ])
    }

    @Test(.enabled(if: getuid() == 0 && access("/sys/fs/cgroup/memory", W_OK) == 0, "needs root and a writable cgroup"))
    func `a process leaves its caller's group and the folder goes after it`() throws {
        let parent = "/sys/fs/cgroup/memory/swg-test-\(getpid())"
        try File.makeDirectories(parent)
        defer { rmdir(parent) }
        let child = try Spawn(.path("/bin/sleep"), arguments: ["sleep", "60"]).start()
        try File.write("\(child.pid)", to: "\(parent)/cgroup.procs")
        let placement = EnginePlacement.place(process: child.pid, name: "test\(getpid())")
        let folders = ["/sys/fs/cgroup/memory/swg-ns/test\(getpid())"]
        #expect(placement.kind == .controlGroup(folders: folders))
        #expect(try File.readText("\(parent)/cgroup.procs") == "")
        child.kill()
        EnginePlacement.remove(name: "test\(getpid())")
        #expect(!File.exists(folders[0]))
    }
}

@Suite struct SystemdScopeTests {
    @Test func `two tunnels never share a scope, and every id makes a valid name of a unit`() {
        #expect(SystemdScope.unit(of: "a.b-c_d") == "swg-ns-a.b-c_d.scope")
        #expect(SystemdScope.unit(of: "a+b=") == #"swg-ns-a\x2bb\x3d.scope"#)
        let names = ["a.b", "a_b", "a-b", "a+b", "a=b"]
        #expect(Set(names.map { SystemdScope.unit(of: $0) }).count == names.count)
    }

    /// A real bus without systemd behind it: authentication, hello and the match must be accepted, and the
    /// bus's own refusal must come through.
    @Test(.enabled(if: access("/usr/bin/dbus-daemon", X_OK) == 0, "dbus-daemon is not installed"))
    func `a bus without systemd says so before the deadline`() throws {
        let folder = "/tmp/swg-bus-\(getpid())"
        try File.makeDirectories(folder)
        let configuration = """
            <busconfig><type>custom</type><listen>unix:path=\(folder)/bus</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow send_destination="*"/><allow own="*"/><allow eavesdrop="true"/></policy>
            </busconfig>
            """
        try File.replace("\(folder)/bus.conf", with: configuration)
        let daemon = try Spawn(
            .path("/usr/bin/dbus-daemon"),
            arguments: ["dbus-daemon", "--nofork", "--config-file=\(folder)/bus.conf"]
        ).start()
        // Bound first, the socket takes connections a moment later.
        while try !UnixSocket.isLive("\(folder)/bus") { usleep(5000) }
        let refusal = #expect(throws: DBusRefusal.self) {
            try SystemdScope.start(
                unit: "x.scope", description: "d", processes: [1], bus: "\(folder)/bus", milliseconds: 60_000)
        }
        #expect(refusal?.name == "org.freedesktop.DBus.Error.ServiceUnknown")
        daemon.kill()
        for name in try File.list(folder) { try File.remove("\(folder)/\(name)") }
        rmdir(folder)
    }

    @Test func `a bus that accepts and says nothing does not hold us beyond the deadline`() throws {
        let path = "/tmp/swg-silent-\(getpid())"
        let listener = try UnixSocket.open()
        try UnixSocket.bind(listener, to: path)
        defer { unlink(path) }
        listen(listener.rawValue, 1)
        let error = #expect(throws: SystemError.self) {
            try SystemdScope.start(unit: "x.scope", description: "d", processes: [1], bus: path, milliseconds: 50)
        }
        #expect(error?.errno == Errno(ETIMEDOUT))
    }
}
