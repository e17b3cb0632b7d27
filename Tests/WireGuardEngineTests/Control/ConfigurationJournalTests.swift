import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

/// What the next worker finds, whatever moment the one before it was killed in.
@Suite struct ConfigurationJournalTests {
    /// The monitor's descriptor, and a journal over it as each worker has one.
    private struct File: ~Copyable {
        let descriptor: FileDescriptor

        init() throws { descriptor = try ConfigurationJournal.create() }

        borrowing func journal() throws -> ConfigurationJournal { ConfigurationJournal(try descriptor.duplicate()) }

        borrowing func replayed() throws -> [String] {
            var journal = try journal()
            return journal.texts()
        }

        borrowing func bytes() -> [UInt8] {
            let size = Int(lseek(descriptor.rawValue, 0, SEEK_END))
            var bytes = [UInt8](repeating: 0, count: size)
            let count = pread(descriptor.rawValue, &bytes, size, 0)
            return Array(bytes.prefix(max(count, 0)))
        }

        borrowing func store(_ bytes: [UInt8], at offset: Int) {
            #expect(pwrite(descriptor.rawValue, bytes, bytes.count, off_t(offset)) == bytes.count)
        }

        /// Where the text begins in the file.
        borrowing func place(of text: String) -> Int? {
            let (bytes, wanted) = (bytes(), Array(text.utf8))
            return bytes.indices.first { bytes[$0...].starts(with: wanted) }
        }
    }

    @Test func `requests come back whole and in order, to every worker`() throws {
        let file = try File()
        var nothing = try file.replayed()
        #expect(nothing == [])
        var journal = try file.journal()
        for text in ["set=1\na\n\n", "", "set=1\n" + String(repeating: "x", count: 10_000)] { try journal.append(text) }
        for _ in 0..<2 {
            nothing = try file.replayed()
            #expect(nothing == ["set=1\na\n\n", "", "set=1\n" + String(repeating: "x", count: 10_000)])
        }
        // The next worker goes on behind the last one.
        var next = try file.journal()
        _ = next.texts()
        try next.append("more")
        let all = try file.replayed()
        #expect(all.count == 4 && all.last == "more")
    }

    @Test func `a request that was cut off by a kill is none, and the next one takes its place`() throws {
        let file = try File()
        var journal = try file.journal()
        try journal.append("first")
        try journal.append("second")
        let found = file.place(of: "second")
        let place = try #require(found)
        let whole = file.bytes()
        // Every prefix of head and text that can have been written; the text is written first.
        for cut in 1...(24 + 6) {
            file.store([UInt8](repeating: 0, count: cut), at: place + 6 - cut)
            let left = try file.replayed()
            #expect(left == ["first"], "\(cut) bytes are missing")
            file.store(Array(whole[(place - 24)..<(place + 6)]), at: place - 24)
        }
        for bit in 0..<(6 * 8) {
            var text = Array("second".utf8)
            text[bit / 8] ^= 1 << (bit % 8)
            file.store(text, at: place)
            let left = try file.replayed()
            #expect(left == ["first"], "bit \(bit) is wrong")
        }
        var next = try file.journal()
        _ = next.texts()
        try next.append("third")
        let after = try file.replayed()
        #expect(after == ["first", "third"])
    }

    @Test func `numbers that cannot be are not believed`() throws {
        let file = try File()
        var journal = try file.journal()
        try journal.append("first")
        // The length of the first request, and the start of the journal.
        for value in [UInt64.max, 1 << 40, 64 << 20 + 1] {
            let head = file.bytes()
            file.store(withUnsafeBytes(of: value) { Array($0) }, at: 4096 + 8)
            let none = try file.replayed()
            #expect(none == [])
            file.store(Array(head[4096..<4120]), at: 4096)
        }
        for start in [0, 1, 4095, UInt64.max, 1 << 46] {
            file.store(withUnsafeBytes(of: start) { Array($0) }, at: 0)
            let all = try file.replayed()
            #expect(all == ["first"], "start \(start)")
        }
        file.store(withUnsafeBytes(of: UInt64(1 << 40)) { Array($0) }, at: 0)
        let none = try file.replayed()
        #expect(none == [])
    }

    @Test func `P3: what was rewritten is wiped and its pages are given back; the snapshot and what follows stay`()
        throws
    {
        let file = try File()
        var journal = try file.journal()
        for number in 0..<40 { try journal.append("secret\(number) " + String(repeating: "s", count: 3000)) }
        let before = file.bytes()
        #expect(String(decoding: before, as: UTF8.self).contains("secret39"))
        try journal.rewrite("snapshot")
        try journal.append("later")
        let all = try file.replayed()
        #expect(all == ["snapshot", "later"])
        let left = file.bytes()
        #expect(!left.contains(UInt8(ascii: "c")), "of the secrets nothing is left")
        // Everything before is a hole but the first page.
        let found = file.place(of: "snapshot")
        let snapshot = try #require(found) & ~4095
        let data = lseek(file.descriptor.rawValue, 4096, SEEK_DATA)
        #expect(data == off_t(snapshot))
        // A second one, by a worker that has only replayed the first.
        var next = try file.journal()
        _ = next.texts()
        try next.rewrite("again")
        let last = try file.replayed()
        let places = [file.place(of: "snapshot"), file.place(of: "later")]
        #expect(last == ["again"] && places == [nil, nil])
    }

    @Test func `a kill between snapshot and start leaves the old journal in force`() throws {
        let file = try File()
        var journal = try file.journal()
        try journal.append("old")
        let start = Array(file.bytes()[..<8])
        let old = file.bytes()
        try journal.rewrite("new")
        file.store(start, at: 0)
        file.store(Array(old[4096...]), at: 4096)
        let all = try file.replayed()
        #expect(all == ["old"])
    }

    @Test func `it is rewritten when it is four times the configuration, and not below 64 KiB`() throws {
        let file = try File()
        var journal = try file.journal()
        let kilobyte = String(repeating: "k", count: 1000)
        var grown: [Bool] = []
        for _ in 0..<65 {
            try journal.append(kilobyte)
            grown.append(journal.isOvergrown)
        }
        // 64 of 1024 bytes are 65536.
        #expect(grown == [Bool](repeating: false, count: 64) + [true])
        try journal.rewrite(String(repeating: "w", count: 40_000 - 24))
        var count = 0
        while !journal.isOvergrown, count < 1000 {
            try journal.append(kilobyte)
            count += 1
        }
        // More than 160,000 bytes, 40,000 of them the configuration.
        #expect(count == 120_000 / 1024 + 1)
    }

    @Test func `SWG_CONFIG_FD: the first request is taken whole, wherever its writer has left the offset`() throws {
        let file = try File()
        let source = try MemoryFile.create(name: "test", contents: Array("set=1\nlisten_port=1\n\n".utf8))
        lseek(source.rawValue, 0, SEEK_END)
        try ConfigurationJournal.copyFirstRequest(from: source, to: file.descriptor)
        let all = try file.replayed()
        #expect(all == ["set=1\nlisten_port=1\n\n"])
    }

    @Test func `SWG_CONFIG_FD: a socket is read to its end; when that comes at once its holder has died`() throws {
        let file = try File()
        let told = try UnixSocket.makePair()
        let source = try told.theirs.duplicate()
        let ours = told.takeOurs()
        try send("set=1\nlisten", on: ours)
        try send("_port=2\n\n", on: ours)
        shutdown(ours.rawValue, Int32(SHUT_WR))
        try ConfigurationJournal.copyFirstRequest(from: source, to: file.descriptor)
        let all = try file.replayed()
        #expect(all == ["set=1\nlisten_port=2\n\n"])

        let silent = try UnixSocket.makePair()
        shutdown(silent.ours.rawValue, Int32(SHUT_WR))
        var refusal: SystemError?
        do throws(SystemError) {
            try ConfigurationJournal.copyFirstRequest(from: silent.theirs.duplicate(), to: file.descriptor)
        } catch {
            refusal = error
        }
        #expect(refusal?.errno == Errno(ENODATA))
    }

    @Test func `a configuration for an engine that has ended is an error and no signal`() throws {
        let ours = try UnixSocket.makePair().takeOurs()
        var refusal: SystemError?
        do throws(SystemError) { try send("set=1\n", on: ours) } catch { refusal = error }
        #expect(refusal?.errno == Errno(EPIPE))
    }

    private func send(_ text: String, on socket: borrowing FileDescriptor) throws(SystemError) {
        var outcome: Result<Void, SystemError> = .success(())
        Array(text.utf8).withUnsafeBytes { bytes in
            outcome = Result { () throws(SystemError) in
                try UnixSocket.sendAll(bytes, on: socket, object: "test")
            }
        }
        try outcome.get()
    }
}

extension ConfigurationJournal {
    fileprivate mutating func texts() -> [String] {
        var texts: [String] = []
        replay { texts.append(String(decoding: $0, as: UTF8.self)) }
        return texts
    }

    fileprivate mutating func append(_ text: String) throws {
        var text = text
        try text.withUTF8 { try append(UnsafeRawBufferPointer($0)) }
    }

    fileprivate mutating func rewrite(_ text: String) throws {
        var text = text
        try text.withUTF8 { try rewrite(UnsafeRawBufferPointer($0)) }
    }
}
