import Testing

@testable import JSON

/// Records of ours as JSON and back.
@Suite struct CodingTests {
    private enum Kind: String, Codable { case first, second }

    private struct Action: RawRepresentable, Codable, Hashable { let rawValue: String }

    private struct Inner: Codable, Hashable {
        var port: UInt16
        var inode: UInt64
    }

    private struct Record: Codable, Hashable {
        var name = "a \"quoted\" name\u{0}\n/é"
        var kind = Kind.second
        var action = Action(rawValue: "delete-link")
        var isOn = true
        var small: Int32 = -7
        var wide = Int64.min
        var index: UInt32 = 4_294_967_295
        var count = 3
        var seconds = 0.1
        var absent: String?
        var present: Int? = 5
        var list = [Inner(port: 51820, inode: 4_026_532_534), Inner(port: 1, inode: 2)]
        var nothing: [String] = []
        var named = ["b": [1, 2], "a": []]
    }

    @Test func `a record comes back as it was, through lines for people too`() throws {
        let record = Record()
        let value = try JSONValue(encoding: record)
        #expect(try value.decoded(as: Record.self) == record)
        #expect(try JSONValue.parse(Array(value.indented.utf8)).decoded(as: Record.self) == record)
        #expect(try JSONValue.parse(Array(value.serialized.utf8)) == value)
        #expect(value.members?.keys.contains("absent") == false)
        #expect(value["seconds"] == .number(0.1) && value.indented.contains(#""seconds": 0.1"#))
    }

    @Test func `the same record is the same bytes, sorted`() throws {
        let text = try JSONValue(encoding: ["b": 1, "a": 2, "c": 3]).serialized
        #expect(text == #"{"a":2,"b":1,"c":3}"#)
    }

    @Test func `what does not fit is an error that names the place`() throws {
        func trouble(_ text: String) -> String {
            do {
                let value = try JSONValue.parse(Array(text.utf8))
                return "\(try value.decoded(as: [Inner].self))"
            } catch {
                return "\(error)"
            }
        }
        #expect(trouble(#"[{"port":1,"inode":2},{"port":65536,"inode":2}]"#).contains("port"))
        #expect(trouble(#"[{"port":1}]"#).contains("inode"))
        #expect(trouble(#"[{"port":"1","inode":2}]"#).contains("a string"))
        #expect(trouble(#"{"port":1,"inode":2}"#).contains("an object"))
        #expect(trouble(#"[null]"#).contains("null"))
    }

    @Test func `a number that JSON cannot hold is an error when it is written`() {
        #expect(throws: EncodingError.self) { try JSONValue(encoding: UInt64.max) }
        #expect(throws: EncodingError.self) { try JSONValue(encoding: Int8(1)) }
    }

    // The allowed IPs of a large device: in a time that grows with the square of them, this would take minutes.
    @Test func `a long list comes back as it was`() throws {
        let list = Array(0..<300_000)
        #expect(try JSONValue(encoding: list).decoded(as: [Int].self) == list)
    }
}
