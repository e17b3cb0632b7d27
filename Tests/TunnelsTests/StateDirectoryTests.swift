import Glibc
import LinuxSystem
import Testing
import WireGuardCrypto

@testable import Tunnels

struct StateDirectoryTests {
    private let temporary = TemporaryState()
    private var state: StateDirectory { temporary.state }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    private func isFree(_ id: TunnelID) throws -> Bool {
        guard let lock = try state.reserve(id) else { return false }
        _ = consume lock
        return true
    }

    @Test func `an id is given once, with its lock, and directories are private`() throws {
        let id = try TunnelID("t")
        guard let lock = try state.reserve(id) else {
            Issue.record("a free id is refused")
            return
        }
        #expect(try !isFree(id))
        #expect(mode(state.path) == 0o700 && mode(state.directory(of: id)) == 0o700)
        #expect(mode(state.lock(of: id)) == 0o600)
        #expect(try state.ids() == [id])
        // flock is per open file: within one process a second open waits as well.
        #expect { _ = try state.lock(id, wait: false) } throws: { ($0 as? TunnelError)?.kind == .busy }
        try state.remove(id)
        #expect(!File.exists(state.path), "empty directories go")
        _ = consume lock
    }

    @Test func `P4: a gc that locks a fresh id before its attach does loses it nothing`() throws {
        let state = state
        let id = try TunnelID("t")
        // It is first in most rounds of a quiet machine, and in none of a very busy one: timing decides no test.
        for _ in 0..<100 {
            let end = BootTime.now.advanced(byNanoseconds: 5_000_000)
            // What gc does with a directory that holds nothing, begun at the first moment that it can be seen.
            let result = try beside({
                while !state.exists(id), BootTime.now.nanoseconds < end.nanoseconds {}
                guard let lock = try? FileLock.acquire(state.lock(of: id), wait: false) else { return }
                usleep(300)
                try? state.remove(id)
                _ = consume lock
            }) {
                usleep(200)  // until the other one looks
                guard let lock = try state.reserve(id) else { return "refused" }
                let isThere = File.exists(state.lock(of: id))
                try state.remove(id)
                _ = consume lock
                return isThere ? "" : "taken away"
            }
            #expect(result.value == "")
            // Where gc came after all was over it has made the lock anew.
            try state.remove(id)
        }
    }

    @Test func `a directory that others may write is refused`() throws {
        try File.makeDirectories(state.path)
        chmod(state.path, 0o777)
        #expect { _ = try state.reserve(try TunnelID("t")) } throws: {
            ($0 as? TunnelError)?.kind == .state && "\($0)".contains("chmod 0700")
        }
    }

    @Test func `files that are no ids are not ours`() throws {
        try File.makeDirectories("\(state.tunnels)/not an id")
        #expect(try state.ids().isEmpty)
    }

    @Test func `leases: one holder; a holder without directory holds nothing; released keys are remembered`() throws {
        let book = LeaseBook(state: state)
        let key = PrivateKey.generate().publicKey
        let first = try TunnelID("first")
        let second = try TunnelID("second")
        let lock = try state.reserve(first)
        #expect(try book.take(key, for: first, configurationPath: nil) == nil)
        #expect(try book.take(key, for: second, configurationPath: nil) == first)
        #expect(try book.holder(of: key) == first)
        try book.release(key.hex, by: "second", remember: false)
        #expect(try book.holder(of: key) == first, "only its holder releases a lease")
        try book.release(key.hex, by: "first", remember: true)
        #expect(try book.holder(of: key) == nil)
        #expect(try book.releasedAt(key) != nil)
        #expect(try book.take(key, for: second, configurationPath: nil) == nil)
        // `second` has no directory.
        #expect(try book.holder(of: key) == nil)
        #expect(try book.take(key, for: first, configurationPath: nil) == nil)
        _ = consume lock
    }

    @Test func `P4: what a death while writing a lease leaves is swept`() throws {
        let book = LeaseBook(state: state)
        let key = PrivateKey.generate().publicKey
        #expect(try book.take(key, for: try TunnelID("gone"), configurationPath: nil) == nil)
        try File.replace("\(state.leases)/\(key.hex).4711.tmp", with: "half")
        try book.sweep()
        #expect(!File.exists(state.leases))
    }

    @Test func `P4: releasing a lease sweeps what a death while writing it has left, and nothing of another key`()
        throws
    {
        let book = LeaseBook(state: state)
        let key = PrivateKey.generate().publicKey
        let other = PrivateKey.generate().publicKey
        try File.makeDirectories(state.leases)
        for name in ["\(key.hex).4711.tmp", "\(other.hex).4711.tmp"] {
            try File.replace("\(state.leases)/\(name)", with: "half")
        }
        // It died before there was a lease at all.
        try book.release(key.hex, by: "first", remember: false)
        #expect(try File.list(state.leases) == ["\(other.hex).4711.tmp"])
    }

    @Test func `collecting takes what is half made, and nothing that is locked`() throws {
        let keeper = TunnelKeeper(stateDirectory: state.path)
        let dead = try TunnelID("dead")
        let busy = try TunnelID("busy")
        do {
            let lock = try state.reserve(dead)
            _ = try JournalWriter(Journal(id: dead, bootID: "b"), path: state.journal(of: dead))
            _ = consume lock
        }
        let lock = try state.reserve(busy)
        let report = try keeper.collectGarbage()
        #expect(report.removed == [dead] && report.errors.isEmpty)
        #expect(try state.ids() == [busy])
        _ = consume lock
    }

    @Test func `P4: detaching what never was is success`() throws {
        let report = try TunnelKeeper(stateDirectory: state.path).detach(try TunnelID("never"))
        #expect(report.removed.isEmpty && report.errors.isEmpty)
    }
}

@Suite struct SystemPlacesTests {
    @Test func `who stands behind uid 0: nobody in the initial user namespace, else the user outside`() {
        #expect(SystemPlaces.userOutside(of: 0, map: "         0          0 4294967295\n") == nil)
        #expect(SystemPlaces.userOutside(of: 0, map: "         0       1000          1\n") == 1000)
        // As newuidmap(1) writes it for a rootless container.
        let map = "         0       1000          1\n         1     100000      65536\n"
        #expect(SystemPlaces.userOutside(of: 0, map: map) == 1000)
        #expect(SystemPlaces.userOutside(of: 5, map: map) == 100004)
        #expect(SystemPlaces.userOutside(of: 70000, map: map) == nil)
        // All of root's ids, but not the initial namespace: `unshare --map-users`.
        #expect(SystemPlaces.userOutside(of: 0, map: "0 0 65536\n") == 0)
        #expect(SystemPlaces.userOutside(of: 0, map: "damaged\n") == nil)
    }
}
