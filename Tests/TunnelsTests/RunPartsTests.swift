import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Testing

@testable import Tunnels

@Suite struct ListeningSocketsTests {
    @Test func `leak row 4: listening and datagram sockets with an absolute path are found, others not`() {
        let table = """
            Num       RefCount Protocol Flags    Type St Inode Path
            0000000000000000: 00000002 00000000 00010000 0001 01 100 /run/user/1000/bus
            0000000000000000: 00000002 00000000 00010000 0005 01 101 /tmp/with space
            0000000000000000: 00000003 00000000 00000000 0001 03 102 /run/connected
            0000000000000000: 00000002 00000000 00000000 0002 01 103 /dev/log
            0000000000000000: 00000002 00000000 00010000 0001 01 104 @abstract
            0000000000000000: 00000002 00000000 00010000 0001 01 105 relative/path
            0000000000000000: 00000003 00000000 00000000 0001 03 106
            """
        #expect(ListeningSockets.parse(table) == ["/dev/log", "/run/user/1000/bus", "/tmp/with space"])
    }
}

@Suite struct NetworkMountsTests {
    @Test func `leak row 16: file systems that come over a network are named, with their paths unescaped`() {
        let table = #"""
            22 27 0:21 / /proc rw,relatime - proc proc rw
            30 27 0:30 / /home rw,relatime shared:1 - nfs4 server:/home rw
            31 27 0:31 / /mnt/my\040share rw shared:2 master:1 - cifs //server/share rw
            32 27 0:32 / /mnt/ssh rw - fuse.sshfs user@host: rw
            33 27 0:33 / /run/user/1000/doc rw - fuse.portal portal rw
            34 27 254:0 / / rw - ext4 /dev/vda rw
            damaged line
            """#
        #expect(
            NetworkMounts.parse(table) == [
                .init(path: "/home", type: "nfs4"), .init(path: "/mnt/my share", type: "cifs"),
                .init(path: "/mnt/ssh", type: "fuse.sshfs"),
            ])
    }
}

@Suite struct CommandEnvironmentTests {
    @Test func `leak rows 7, 9, 10: variables that lead outside are taken away, all others stay`() {
        let user = InvokingUser.sameAsCaller
        let environment = [
            "PATH=/bin", "DBUS_SESSION_BUS_ADDRESS=x", "SSH_AUTH_SOCK=x", "WAYLAND_DISPLAY=x", "EMPTY=", "A=b=c",
            "XDG_RUNTIME_DIR=/run/user/1", "TMUX=x", "DOCKER_HOST=x", "SUDO_UID=1", "WG_COLOR_MODE=never",
        ]
        let confined = CommandEnvironment.confined(environment, for: user, runtimeDirectory: "/run/user/9")
        #expect(confined == ["PATH=/bin", "EMPTY=", "A=b=c", "WG_COLOR_MODE=never", "XDG_RUNTIME_DIR=/run/user/9"])
        let without = CommandEnvironment.confined(environment, for: user, runtimeDirectory: nil)
        #expect(!without.contains { $0.hasPrefix("XDG_RUNTIME_DIR") })
    }

    @Test func `another user gets its own home and name`() {
        var user = InvokingUser.sameAsCaller
        user.uid += 1
        user.name = "somebody"
        user.home = "/home/somebody"
        user.shell = nil
        let confined = CommandEnvironment.confined(
            ["HOME=/root", "USER=root", "MAIL=/var/mail/root"], for: user, runtimeDirectory: nil)
        #expect(confined == ["HOME=/home/somebody", "LOGNAME=somebody", "SHELL=/bin/sh", "USER=somebody"])
    }
}

extension InvokingUser {
    fileprivate static var sameAsCaller: InvokingUser {
        guard let user = try? InvokingUser.find(asked: "\(getuid()):\(getgid())") else { fatalError("no user") }
        return user
    }
}

@Suite struct ResolverFilesTests {
    @Test func `leak rows 6 and 7: the resolver's files name the tunnel's servers and no service of the host`() throws {
        let files = ResolverFiles(
            servers: [try #require(IPAddress("10.0.0.1")), try #require(IPAddress("fd00::1"))],
            searchDomains: ["example.org"])
        #expect(files.resolvConf.hasSuffix("nameserver 10.0.0.1\nnameserver fd00::1\nsearch example.org\n"))
        #expect(files.nsswitchConf.contains("\nhosts: files dns\n"))
        #expect(!files.nsswitchConf.contains("resolve") && !files.nsswitchConf.contains("sss"))
        let none = ResolverFiles(servers: [], searchDomains: [])
        #expect(!none.resolvConf.contains("\nnameserver"))
        #expect(none.nsswitchConf.contains("\nhosts: files\n"))
    }
}

@Suite struct UserNamespaceTroubleTests {
    private static let refusal = SystemError(call: "unshare", errno: Errno(EPERM))

    @Test(arguments: [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "/etc/apparmor.d/swg-ns"),
        ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces"),
    ])
    func `P6: a forbidden user namespace names the setting and its cure`(path: String, value: String, cure: String) {
        let text = UserNamespaceTrouble(Self.refusal) { $0 == path ? value + "\n" : nil }.explanation
        #expect(text.contains(cure) && text.contains("EPERM"))
    }

    @Test func `P6: without a setting that explains it, the container is named`() {
        #expect(UserNamespaceTrouble(Self.refusal) { _ in nil }.explanation.contains("system-call filter"))
    }
}

@Suite struct InheritedDescriptorsTests {
    @Test
    func
        `leak rows 1 and 2: sockets of a network, directories and namespaces are found; files, pipes and UNIX sockets pass`()
    {
        func finding(_ number: Int32) -> String? {
            defer { close(number) }
            return InheritedDescriptors.finding(number, nil)
        }
        #expect(finding(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))?.contains("IPv4 socket") == true)
        #expect(finding(socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0))?.contains("IPv6 socket") == true)
        #expect(finding(socket(AF_NETLINK, Int32(SOCK_RAW.rawValue), 0))?.contains("netlink socket") == true)
        #expect(finding(open("/", O_RDONLY)) == "a directory")
        #expect(finding(open("/proc/self/ns/net", O_RDONLY)) == "a namespace")
        #expect(finding(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)) == nil)
        #expect(finding(open("/dev/null", O_RDWR)) == nil)
        #expect(finding(open("/etc/passwd", O_RDONLY)) == nil)
        #expect(InheritedDescriptors.finding(9999, nil) == nil)
    }
}

@Suite struct CommandChannelTests {
    @Test func `a word, its text and a descriptor arrive together; the end of the other side is nil`() throws {
        let ends = try CommandChannel.pair()
        let ours = CommandChannel(owning: ends.ours)
        let theirs = CommandChannel(owning: ends.theirs)
        let file = try FileDescriptor.open("/dev/null", O_RDONLY)
        let identity = try file.identity()
        try theirs.send(.device, "text", passing: file.rawValue)
        try theirs.send(.ready)
        var first = try ours.receive()
        #expect(first?.word == .device)
        #expect(first?.text == "text")
        let passed = first?.descriptor.take()
        let passedIdentity = try passed?.identity()
        #expect(passedIdentity == identity)
        var second = try ours.receive()
        #expect(second?.word == .ready)
        let identityOfSecond = try second?.descriptor.take()?.identity()
        #expect(identityOfSecond == nil)
        _ = consume theirs
        let third = try ours.receive()?.word
        #expect(third == nil)
    }

    @Test func `why the child failed arrives although it left our last word unread`() throws {
        let ends = try CommandChannel.pair()
        let ours = CommandChannel(owning: ends.ours)
        let theirs = CommandChannel(owning: ends.theirs)
        try ours.send(.device)
        try theirs.send(.failed, "the reason")
        _ = consume theirs
        let text = try ours.receive()?.text
        #expect(text == "the reason")
        let end = try ours.receive()?.word
        #expect(end == nil)
    }
}

@Suite struct HandshakeDiagnosisTests {
    @Test func `an engine's words about an answer that does not decrypt are understood`() {
        #expect(
            CommandHandshake.tellsOfUndecryptableAnswer(
                "peer(…) - Received invalid response message from 192.0.2.2:51820"))
        #expect(CommandHandshake.tellsOfUndecryptableAnswer("undecryptable handshake response"))
        #expect(!CommandHandshake.tellsOfUndecryptableAnswer("Sending handshake initiation"))
    }
}
