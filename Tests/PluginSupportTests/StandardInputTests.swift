import Glibc
import LinuxSystem
import Testing

@testable import PluginSupport

@Suite struct StandardInputTests {
    @Test func `input that is never closed ends with a reason`() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let error = #expect(throws: StandardInput.Failure.self) {
            try StandardInput.read(from: ends[0], deadlineMilliseconds: 50)
        }
        #expect(error?.reason.contains("not closed") == true)
    }

    @Test func `input over the bound is refused with the bound`() throws {
        let file = try MemoryFile.create(name: "input", contents: Array(repeating: 0x20, count: 5000))
        let error = #expect(throws: StandardInput.Failure.self) {
            try StandardInput.read(from: file.rawValue, limitBytes: 4999)
        }
        #expect(error?.reason.contains("4999") == true)
    }

    @Test func `input up to the bound arrives whole`() throws {
        let file = try MemoryFile.create(name: "input", contents: Array(repeating: 0x20, count: 5000))
        #expect(try StandardInput.read(from: file.rawValue, limitBytes: 5000).count == 5000)
    }
}
