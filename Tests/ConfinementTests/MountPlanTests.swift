import CLinux
import Confinement
import Glibc
import LinuxSystem
import Testing

/// Each test runs in a child with a mount namespace of its own, on a tmpfs over /mnt.
@Suite(.enabled(if: getuid() == 0, "needs root")) struct MountPlanTests {
    @Test func `leak row 8: a covered directory survives the host's replacement of a file by rename`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try enterScratch()
            try File.write("nameserver 192.0.2.1\n", creating: "/mnt/etc/resolv.conf")
            try File.write("root\n", creating: "/mnt/etc/passwd")
            symlink("passwd", "/mnt/etc/alias")
            let parent = getpid()
            let ready = try EventPipe()
            let go = try EventPipe()
            let child = fork()
            if child == 0 {
                guard unshare(CLONE_NEWNS) == 0 else { _exit(10) }
                let cover = DirectoryCover(
                    path: "/mnt/etc", shown: ["passwd", "alias", "gone"],
                    files: ["resolv.conf": "nameserver 10.0.0.1\n"], isReadOnly: true)
                guard (try? MountExecutor.carryOut([.makePrivate, .cover(cover)])) != nil else { _exit(11) }
                ready.signal()
                go.wait()
                guard (try? File.readText("/mnt/etc/resolv.conf")) == "nameserver 10.0.0.1\n" else { _exit(12) }
                guard (try? File.readText("/mnt/etc/alias")) == "root\n" else { _exit(13) }
                guard open("/mnt/etc/new", O_WRONLY | O_CREAT, 0o600) < 0, errno == EROFS else { _exit(14) }
                guard getppid() == parent else { _exit(15) }
                _exit(0)
            }
            ready.wait()
            try File.replace("/mnt/etc/resolv.conf", with: "nameserver 192.0.2.2\n")
            go.signal()
            var status: Int32 = 0
            waitpid(child, &status, 0)
            exit(swg_wifexited(status) != 0 ? swg_wexitstatus(status) : 99)
        }
    }

    @Test func `P3: a masked file reads empty, a masked directory lists nothing, missing ones are no error`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try enterScratch()
            try File.write("secret\n", creating: "/mnt/etc/wg0.conf")
            mkdir("/mnt/etc/wireguard", 0o700)
            try File.write("secret\n", creating: "/mnt/etc/wireguard/a.conf")
            try MountExecutor.carryOut([
                .makePrivate, .maskFile("/mnt/etc/wg0.conf"), .maskDirectory("/mnt/etc/wireguard"),
                .maskFile("/mnt/etc/none"), .maskDirectory("/mnt/none/none"),
            ])
            guard try File.readText("/mnt/etc/wg0.conf").isEmpty else { exit(1) }
            guard try File.list("/mnt/etc/wireguard").isEmpty else { exit(2) }
            exit(0)
        }
    }

    @Test func `leak row 4: a socket behind a mask refuses the connection`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try enterScratch()
            let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = unixAddress("/mnt/etc/agent")
            guard bind(listener, &address) == 0, listen(listener, 1) == 0 else { exit(1) }
            guard connect(to: &address) == 0 else { exit(2) }
            try MountExecutor.carryOut([.makePrivate, .maskFile("/mnt/etc/agent")])
            guard connect(to: &address) == ECONNREFUSED else { exit(3) }
            exit(0)
        }
    }

    @Test func `P6: a refused step is named with the kernel's answer`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try enterScratch()
            do throws(MountError) {
                try MountExecutor.carryOut([.makePrivate, .cover(DirectoryCover(path: "/mnt/nowhere"))])
                exit(1)
            } catch {
                guard "\(error)".contains("/mnt/nowhere"), error.cause.errno.name == "ENOENT" else { exit(2) }
            }
            exit(0)
        }
    }

    @Test func `read-only means the whole tree below, but for what is kept writable`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try enterScratch()
            mkdir("/mnt/home", 0o755)
            try MountExecutor.carryOut([
                .makePrivate, .detach("/mnt/home"), .readOnly(path: "/mnt", recursive: true), .writable("/mnt/home"),
            ])
            guard open("/mnt/etc/new", O_WRONLY | O_CREAT, 0o600) < 0, errno == EROFS else { exit(1) }
            guard open("/mnt/home/new", O_WRONLY | O_CREAT, 0o600) >= 0 else { exit(2) }
            exit(0)
        }
    }
}

private func enterScratch() throws {
    try systemCall("unshare") { unshare(CLONE_NEWNS) }
    try MountExecutor.carryOut([.makePrivate, .emptyDirectory(path: "/mnt", mode: 0o755, owner: nil)])
    mkdir("/mnt/etc", 0o755)
}

extension File {
    fileprivate static func write(_ text: String, creating path: String) throws {
        try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o644).writeAll(text)
    }
}

/// A pipe as a one-shot event between two processes.
private struct EventPipe {
    private let ends: [Int32]

    init() throws {
        var ends: [Int32] = [0, 0]
        try systemCall("pipe2") { pipe2(&ends, O_CLOEXEC) }
        self.ends = ends
    }

    func signal() { write(ends[1], "x", 1) }

    func wait() {
        var byte: UInt8 = 0
        read(ends[0], &byte, 1)
    }
}

private func unixAddress(_ path: String) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return address
}

private func bind(_ number: Int32, _ address: inout sockaddr_un) -> Int32 {
    withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            Glibc.bind(number, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

/// 0, or connect's errno.
private func connect(to address: inout sockaddr_un) -> Int32 {
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(number) }
    let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            Glibc.connect(number, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    return result == 0 ? 0 : errno
}
