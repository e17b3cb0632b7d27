import CLinux
import Glibc
import LinuxSystem
import Testing
import WireGuardCrypto

@testable import WireGuardEngine

@Suite struct TimestampFloorsTests {
    /// A state directory of its own, removed at the end.
    private final class State {
        let path = "/tmp/swg-floors-\(getpid())-\(UInt64.random(in: 0 ... .max))"

        deinit {
            for name in names { unlink("\(path)/tai64n/\(name)") }
            rmdir("\(path)/tai64n")
            rmdir(path)
        }

        var names: [String] { (try? File.list("\(path)/tai64n")) ?? [] }
        func open() -> TimestampFloors { TimestampFloors(stateDirectory: path) }
    }

    private func record(_ kind: MonitorRecord.Kind, _ key: UInt64, _ label: UInt64 = 0, _ nanoseconds: UInt64 = 0)
        -> MonitorRecord
    {
        var record = MonitorRecord(kind, first: label, second: nanoseconds)
        record.hash[3] = key
        return record
    }

    private func floor(_ floors: inout TimestampFloors, _ key: UInt64) -> [UInt64] {
        let answer = floors.floor(for: record(.keyChanged, key))
        #expect(answer.kind == MonitorRecord.Kind.timestampFloor.rawValue)
        return [answer.first, answer.second]
    }

    @Test func `T3: the greatest timestamp of each key is known to the next engine, and nothing lowers it`() {
        let state = State()
        var floors = state.open()
        var before = [floor(&floors, 1)]
        floors.raise(record(.timestampSent, 1, 1000, 5))
        floors.raise(record(.timestampSent, 1, 1000, 4))
        floors.raise(record(.timestampSent, 2, 70, 1))
        floors.raise(record(.timestampSent, 1, 999, 9))
        floors.raise(record(.timestampSent, 2, 71, 0))
        before += [floor(&floors, 1), floor(&floors, 2), floor(&floors, 3)]
        #expect(before == [[0, 0], [1000, 5], [71, 0], [0, 0]])
        var next = state.open()
        next.raise(record(.timestampSent, 1, 1000, 3))
        let after = [floor(&next, 1), floor(&next, 2)]
        #expect(after == [[1000, 5], [71, 0]])
        #expect(state.names.count == 2)
        for name in state.names {
            var status = stat()
            #expect(stat("\(state.path)/tai64n/\(name)", &status) == 0 && status.st_size == 12)
            #expect(status.st_mode & 0o777 == 0o600 && name.utf8.count == 64)
        }
    }

    @Test func `T3: where nothing can be written a floor lasts as long as the monitor`() {
        var floors = TimestampFloors(stateDirectory: "/proc/swg-nowhere")
        floors.raise(record(.timestampSent, 1, 1000, 5))
        let found = [floor(&floors, 1), floor(&floors, 2)]
        #expect(found == [[1000, 5], [0, 0]])
    }

    @Test func `a worker that invents keys makes a thousand files, and those that there are go on`() {
        let state = State()
        var floors = state.open()
        for key: UInt64 in 1...1010 { floors.raise(record(.timestampSent, key, 5, 0)) }
        #expect(state.names.count == 1000)
        floors.raise(record(.timestampSent, 1000, 6, 0))
        var next = state.open()
        let found = [floor(&next, 1000), floor(&next, 1001)]
        #expect(found == [[6, 0], [0, 0]])
    }

    @Test func `a link in a file's place is not followed, and a file of another size says nothing`() throws {
        let state = State()
        var floors = state.open()
        let target = "\(state.path)/elsewhere"
        try FileDescriptor.open(target, O_WRONLY | O_CREAT).writeAll(Array("untouched".utf8), object: target)
        defer { unlink(target) }
        let name = String(repeating: "0", count: 63)
        #expect(symlink(target, "\(state.path)/tai64n/\(name)7") == 0)
        floors.raise(record(.timestampSent, 7, 1000, 0))
        #expect(try File.readText(target) == "untouched")
        try FileDescriptor.open("\(state.path)/tai64n/\(name)8", O_WRONLY | O_CREAT)
            .writeAll(Array("short".utf8), object: "a floor")
        let found = floor(&floors, 8)
        #expect(found == [0, 0])
    }

    @Test func `T3: only who has a private key can name its floor, and the name does not tell the key`() throws {
        let key = PrivateKey.generate()
        func bytes(_ name: InlineArray<4, UInt64>) -> [UInt8] { withUnsafeBytes(of: name) { Array($0) } }
        let name = bytes(key.floorName)
        #expect(name == bytes(key.floorName) && name != bytes(PrivateKey.generate().floorName))
        // Neither the key nor a hash of what everybody knows.
        var hash = [UInt8](repeating: 0, count: 32)
        for known in [key.publicKey.bytes, key.secret.withBytes { Array($0) }] {
            #expect(name != known)
            known.withUnsafeBytes { input in
                hash.withUnsafeMutableBytes { BLAKE2s.hash(input, into: $0.baseAddress!) }
            }
            #expect(name != hash)
        }
        // The same name for ever: files of earlier engines are found under it. Made with Python's hmac and hashlib.
        let fixed = try #require(PrivateKey(hex: String(repeating: "40", count: 32)))
        #expect(
            PublicKey(bytes: bytes(fixed.floorName))?.hex
                == "46d121cc7a2a71b78fc8a9321d90f8f2c986c67085ba49997d5ff63580284747")
    }
}
