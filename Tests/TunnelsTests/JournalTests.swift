import Glibc
import LinuxSystem
import Testing
import WireGuardCrypto

@testable import Tunnels

struct JournalTests {
    private let temporary = TemporaryState()

    private func writer() throws -> JournalWriter {
        try File.makeDirectories(temporary.state.path)
        return try JournalWriter(
            Journal(id: try TunnelID("t"), bootID: "boot"), path: "\(temporary.state.path)/journal.json")
    }

    @Test func `P4: an announcement is in the file before the mutation`() throws {
        var journal = try writer()
        try journal.willDo(.removeSocket("/run/x.sock"))
        let read = try #require(try JournalWriter.open(journal.path))
        #expect(read.journal.undo == [.removeSocket("/run/x.sock")])
        #expect(read.journal.phase == .attaching)
    }

    @Test func `P4: undoing goes backwards, carries on after errors, reports all, and keeps what failed`() throws {
        var journal = try writer()
        let steps = ["a", "b", "c", "d"].map { UndoStep.removeDirectory("/\($0)") }
        try journal.willDo(steps)
        var order: [String] = []
        let errors = journal.undoAll { (step) throws(TunnelError) in
            order.append(step.path ?? "")
            if step.path == "/c" || step.path == "/a" { throw TunnelError(.system, "no \(step.path ?? "")") }
        }
        #expect(order == ["/d", "/c", "/b", "/a"])
        #expect(errors.map(\.message) == ["no /c", "no /a"])
        let kept = try #require(try JournalWriter.open(journal.path))
        #expect(kept.journal.undo == [steps[0], steps[2]])
    }

    @Test func `P4: a key that is taken beside other mutations is free again last`() throws {
        var journal = try writer()
        try journal.willDo(.removeDirectory("/a"))
        let lease = UndoStep.releaseLease("00", remember: true)
        try journal.willDoUntilTheEnd(lease)
        try journal.willDoUntilTheEnd(lease)
        try journal.willDo(.removeDirectory("/b"))
        let steps = [lease, .removeDirectory("/a"), .removeDirectory("/b")]
        #expect(try JournalWriter.open(journal.path)?.journal.undo == steps)
        try journal.didNotHappen(lease)
        #expect(try JournalWriter.open(journal.path)?.journal.undo == Array(steps.dropFirst()))
    }

    @Test func `a mutation that did not happen is taken back, one that is known better is amended`() throws {
        var journal = try writer()
        try journal.willDo([.removeDirectory("/a"), .deleteNamespace("blue")])
        try journal.didNotHappen(.removeDirectory("/a"))
        var known = UndoStep.deleteNamespace("blue")
        known.digest = "more"
        try journal.amend(.deleteNamespace("blue"), to: known)
        #expect(try JournalWriter.open(journal.path)?.journal.undo == [known])
    }

    @Test func `announcing again what the list has already changes nothing`() throws {
        var journal = try writer()
        try journal.willDo(.removeDirectory("/a"))
        try journal.willDo(.removeDirectory("/a"))
        #expect(journal.journal.undo.count == 1)
    }

    @Test func `P4: a newer program's journal is obeyed as far as it is known, and kept where it is not`() throws {
        let text = """
            {"format": 2, "id": "t", "phase": "attached", "bootID": "b", "news": 1,
             "undo": [{"action": "removeDirectory", "path": "/nonexistent/x", "more": true}, {"action": "flyToTheMoon"}]}
            """
        try File.makeDirectories(temporary.state.path)
        let path = "\(temporary.state.path)/journal.json"
        try File.replace(path, with: text)
        var journal = try #require(try JournalWriter.open(path))
        let runner = UndoRunner(state: temporary.state, id: "t")
        let errors = journal.undoAll { (step) throws(TunnelError) in try runner.perform(step) }
        #expect(errors.count == 1)
        #expect(errors.first?.message.contains("flyToTheMoon") == true)
        #expect(try File.readText(path) == text, "what only the newer program knows is lost")
        #expect { try journal.willDo(.removeDirectory("/a")) } throws: {
            "\($0)".contains("written by a newer swg-ns (format 2")
        }
        #expect(try File.readText(path) == text)
    }

    @Test func `P4: a lease of a newer program is neither taken over nor rewritten, and can be given back`() throws {
        let book = LeaseBook(state: temporary.state)
        let key = PrivateKey.generate().publicKey
        let path = "\(temporary.state.leases)/\(key.hex)"
        try File.makeDirectories(temporary.state.leases)
        let text = #"{"format": 2, "news": 1, "releasedAt": 7}"#
        try File.replace(path, with: text)
        #expect { _ = try book.take(key, for: try TunnelID("t"), configurationPath: nil) } throws: {
            ($0 as? TunnelError)?.kind == .state
        }
        #expect(try File.readText(path) == text)
        try File.replace(path, with: #"{"format": 2, "holder": "t", "news": 1}"#)
        try book.release(key.hex, by: "t", remember: true)
        #expect(!File.exists(path))
    }

    @Test func `P4: every undo step of what never was succeeds`() throws {
        let runner = UndoRunner(state: temporary.state, id: "t")
        let key = String(repeating: "ab", count: 32)
        for step: UndoStep in [
            .removeSocket("/nonexistent/x.sock"), .removeDirectory("/nonexistent/x"),
            .removeFile("/nonexistent/y", digest: "0"),
            .endProcess(identityPath: "/nonexistent/engine", bootID: "b"), .releaseLease(key, remember: true),
            .releaseLease("../../etc/passwd", remember: false), .deleteNamespace("swg-tests-never-was"),
        ] { try runner.perform(step) }
    }

    @Test func `a file that somebody has changed since is left alone`() throws {
        try File.makeDirectories(temporary.state.path)
        let path = "\(temporary.state.path)/resolv.conf"
        try File.replace(path, with: "theirs")
        try UndoRunner(state: temporary.state, id: "t").perform(.removeFile(path, digest: "of ours"))
        #expect(File.exists(path))
    }

    @Test func `P5: an engine's line is no order to kill somebody else`() throws {
        try File.makeDirectories(temporary.state.path)
        let path = "\(temporary.state.path)/engine"
        // Our own pid with another start time: a recycled number.
        try File.replace(path, with: "\(getpid()) (swg-engine) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0 0")
        let boot = try ProcessIdentity.currentBootID()
        try UndoRunner(state: temporary.state, id: "t").perform(.endProcess(identityPath: path, bootID: boot))
    }
}
