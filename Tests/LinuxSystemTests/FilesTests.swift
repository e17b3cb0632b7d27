import Glibc
import LinuxSystem
import Testing

@Suite struct FilesTests {
    @Test func `a bounded file in memory takes nothing beyond its limit, and nobody can change that`() throws {
        let file = try MemoryFile.bounded(name: "t", limitBytes: 8192)
        let lines = Array(repeating: UInt8(ascii: "x"), count: 8192)
        try file.writeAll(lines, object: "t")
        #expect(throws: SystemError.self) { try file.writeAll([1], object: "t") }
        #expect(ftruncate(file.rawValue, 1 << 20) == -1 && ftruncate(file.rawValue, 0) == -1)
        #expect(try File.readBytes("/proc/self/fd/\(file.rawValue)", limitBytes: 1 << 20) == lines)
    }

    @Test func `P6: an error names the call, the object and the kernel's answer`() {
        #expect(throws: SystemError(call: "open", object: "/nowhere/at/all", errno: Errno(ENOENT))) {
            try File.readText("/nowhere/at/all")
        }
        let error = SystemError(call: "setns", object: "/run/netns/x", errno: Errno(EPERM), detail: "be root")
        #expect(error.description == "setns /run/netns/x: EPERM (Operation not permitted): be root")
    }

    @Test func `a replaced file has its content and mode, and leaves no temporary`() throws {
        let folder = "/tmp/swg-files-\(getpid())"
        try File.makeDirectories("\(folder)/a/b")
        defer {
            rmdir("\(folder)/a/b")
            rmdir("\(folder)/a")
            rmdir(folder)
        }
        try File.replace("\(folder)/a/b/f", with: "one")
        try File.replace("\(folder)/a/b/f", with: "two")
        #expect(try File.readText("\(folder)/a/b/f") == "two")
        #expect(try File.list("\(folder)/a/b") == ["f"])
        #expect(try File.remove("\(folder)/a/b/f"))
        #expect(try !File.remove("\(folder)/a/b/f"))
    }

    @Test func `links are found by exactly what they say`() throws {
        let folder = "/tmp/swg-links-\(getpid())"
        try File.makeDirectories(folder)
        defer {
            for name in (try? File.list(folder)) ?? [] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        for (name, said) in [("b", "net:[12]"), ("a", "net:[12]"), ("longer", "net:[12]3"), ("shorter", "net:[12")] {
            symlink(said, "\(folder)/\(name)")
        }
        try File.replace("\(folder)/file", with: "net:[12]")
        #expect(try File.links(to: "net:[12]", in: folder).sorted() == ["a", "b"])
        #expect(try File.links(to: "", in: folder) == [])
        let error = #expect(throws: SystemError.self) { try File.links(to: "x", in: "\(folder)/none") }
        #expect(error?.errno == Errno(ENOENT))
    }

    @Test func `readAll refuses more than its limit`() throws {
        let file = try MemoryFile.create(name: "t", contents: Array(repeating: 1, count: 100))
        let error = #expect(throws: SystemError.self) { try file.readAll(limitBytes: 99) }
        #expect(error?.errno == Errno(EFBIG))
    }
}

@Suite struct SpawnTests {
    @Test func `a child gets exactly the descriptors of its plan`() throws {
        let output = try MemoryFile.create(name: "out")
        let stray = try FileDescriptor.open("/dev/null", O_RDONLY)
        try stray.setCloseOnExec(false)
        let spawn = Spawn(
            .path("/bin/sh"), arguments: ["sh", "-c", "ls /proc/self/fd | wc -l"], environment: ["PATH=/usr/bin:/bin"],
            descriptors: [nil, output.rawValue, 2])
        let child = try spawn.start()
        #expect(try child.wait() == .exited(0))
        lseek(output.rawValue, 0, SEEK_SET)
        let text = String(decoding: try output.readAll(), as: UTF8.self)
        // 1, 2, and the two that ls itself opens at most (0 is reused for the folder).
        #expect((Int(text.filter(\.isNumber)) ?? 99) <= 4, "\(text)")
    }

    @Test func `a program that does not exist is an error of exec, not a silent child`() {
        let spawn = Spawn(.path("/nonexistent"), arguments: ["x"])
        let error = #expect(throws: SystemError.self) { _ = try spawn.start().wait() }
        #expect(error?.call == "exec")
        #expect(error?.errno == Errno(ENOENT))
    }

    @Test func `P5: an identity tells a process from its successor`() throws {
        let identity = try ProcessIdentity.of(getpid())
        #expect(identity.isAlive)
        let stranger = ProcessIdentity(pid: getpid(), startTicks: identity.startTicks &+ 1, bootID: identity.bootID)
        #expect(!stranger.isAlive)
        let isNil = try stranger.open() == nil
        #expect(isNil)
    }
}
