import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Tunnels

@Suite struct TunnelLogTests {
    /// A state directory of its own, without journald and syslog.
    private func withLog(_ body: (TunnelLog, StateDirectory) throws -> Void) throws {
        var template = Array("/tmp/swg-log-XXXXXX".utf8CString)
        let path = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer { removeTree(path) }
        let state = StateDirectory(path: path)
        try body(TunnelLog(state: state, journalSocket: "\(path)/none", syslogSocket: "\(path)/none"), state)
    }

    private func removeTree(_ path: String) {
        for name in (try? File.list(path)) ?? [] { removeTree("\(path)/\(name)") }
        if rmdir(path) != 0 { unlink(path) }
    }

    @Test func `without a logging service lines go to a file, one tunnel's can be picked`() throws {
        try withLog { log, _ in
            log.write(LogEntry(.information, "attached", tunnel: try TunnelID("blue")))
            log.write(LogEntry(.error, "first\nsecond\u{1b}[31m", tunnel: try TunnelID("red"), containerID: "abcdef"))
            #expect(log.lines().count == 2)
            #expect(log.lines(tunnel: "blue").count == 1)
            let line = try #require(log.lines(tunnel: "abc").first)
            #expect(line.hasSuffix("error\tred\tabcdef\tfirst; second\\u{1b}[31m"), "\(line)")
        }
    }

    @Test func `a container's id cannot forge a line or a column`() throws {
        let line = LogEntry(.error, "x", containerID: "a\tb\nc\u{9b}d").line
        #expect(line.split(separator: "\t").count == 5 && line.split(separator: "\n").count == 1)
        #expect(!line.unicodeScalars.contains("\u{9b}"))
    }

    @Test func `a failure is kept though others remove the directory when they have emptied it`() throws {
        try withLog { _, state in
            let failures = LastFailures(state: state)
            let child = try Spawn(
                .path("/bin/sh"),
                arguments: ["sh", "-c", "cd \(state.path) && while :; do rmdir log/failures log; done"],
                environment: ["PATH=/usr/bin:/bin"], descriptors: [nil, nil, nil]
            ).start()
            let id = try TunnelID("blue")
            for number in 0..<100 {
                failures.keep(LogEntry(.error, "failed \(number)", tunnel: id), for: id)
                #expect(failures.lines().count == 1, "failure \(number) is lost")
                failures.forget(id)
            }
            child.kill()
        }
    }

    @Test func `a repeated message is written once`() throws {
        try withLog { log, _ in
            for _ in 0..<5 { log.write(LogEntry(.error, "again", tunnel: try TunnelID("blue"))) }
            log.write(LogEntry(.error, "other", tunnel: try TunnelID("blue")))
            #expect(log.lines().count == 2)
            // Another tunnel's, another level, another text.
            log.write(LogEntry(.error, "other", tunnel: try TunnelID("red")))
            log.write(LogEntry(.warning, "other", tunnel: try TunnelID("red")))
            log.write(LogEntry(.warning, "another", tunnel: try TunnelID("red")))
            #expect(log.lines().count == 5)
            let later = WallTime(seconds: WallTime.now.seconds + TunnelLog.repetitionSeconds + 1, nanoseconds: 0)
            log.write(LogEntry(.warning, "another", tunnel: try TunnelID("red"), time: later))
            #expect(log.lines().count == 6)
        }
    }

    @Test func `to know a repetition, only the end of the file is read`() throws {
        try withLog { log, state in
            log.write(LogEntry(.error, "again"))
            let line = try File.readText(log.file)
            // A hole before the line that no program reads through in passing.
            let before: Int64 = 1 << 36
            let file = try FileDescriptor.open(log.file, O_WRONLY)
            #expect(pwrite(file.rawValue, Array(line.utf8), line.utf8.count, Int(before)) == line.utf8.count)
            log.write(LogEntry(.error, "again"))
            var status = stat()
            #expect(stat(log.file, &status) == 0 && status.st_size == Int(before) + line.utf8.count)
            #expect(!File.exists(log.olderFile))
        }
    }

    @Test func `the files stay bounded`() throws {
        try withLog { log, _ in
            let text = String(repeating: "x", count: 4000)
            for number in 0..<100 { log.write(LogEntry(.error, "\(number) \(text)")) }
            let bytes = try File.readBytes(log.file).count + File.readBytes(log.olderFile).count
            #expect(bytes <= 2 * TunnelLog.largestBytes + 10_000)
            #expect(log.lines().last?.contains("99 x") == true)
        }
    }

    @Test func `journald and syslog get their own formats`() throws {
        try withLog { log, state in
            for (socketName, isJournal) in [("journal", true), ("syslog", false)] {
                let path = "\(state.path)/\(socketName)"
                let listener = try UnixSocket.open(SOCK_DGRAM)
                try UnixSocket.bind(listener, to: path)
                var log = log
                if isJournal { log.journalSocket = path } else { log.syslogSocket = path }
                log.write(LogEntry(.warning, "a\nb", tunnel: try TunnelID("blue"), containerID: "c1"))
                var buffer = [UInt8](repeating: 0, count: 512)
                let count = recv(listener.rawValue, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                let text = String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
                if isJournal {
                    #expect(
                        text == "PRIORITY=4\nSYSLOG_IDENTIFIER=swg-ns\nMESSAGE=a; b\nTUNNEL=blue\nCNI_CONTAINERID=c1\n")
                } else {
                    #expect(text == "<28>swg-ns[\(getpid())]: tunnel blue: a; b")
                }
                #expect(log.lines().isEmpty)
            }
        }
    }

    @Test func `the last failure of each container is kept, and forgotten with the next success`() throws {
        try withLog { _, state in
            let failures = LastFailures(state: state)
            for number in 0..<(LastFailures.capacity + 5) {
                let owner = Owner(runtime: "cni", network: "n", containerID: "container\(number)", interface: "eth0")
                failures.keep(
                    LogEntry(.error, "one", tunnel: owner.tunnelID, containerID: owner.containerID), for: owner.tunnelID
                )
                failures.keep(
                    LogEntry(.error, "two", tunnel: owner.tunnelID, containerID: owner.containerID), for: owner.tunnelID
                )
            }
            #expect(failures.lines().count == LastFailures.capacity)
            let owner = Owner(runtime: "cni", network: "n", containerID: "container40", interface: "eth0")
            #expect(failures.lines(matching: "container40").first?.hasSuffix("two") == true)
            failures.forget(owner.tunnelID)
            #expect(failures.lines(matching: "container40").isEmpty)
        }
    }
}
