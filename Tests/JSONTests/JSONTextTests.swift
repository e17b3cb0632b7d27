import Testing

@testable import JSON

@Suite struct JSONTextTests {
    @Test func `what is passed on comes out as it went in`() throws {
        let text = #"{"a":[1,-2,2.5,true,false,null,"/x"],"big":9007199254740993,"o":{"k":{}}}"#
        #expect(try JSONValue.parse(Array(text.utf8)).serialized == text)
    }

    @Test(arguments: ["", "  \n", "{", #"{"a":"#, #"{"a" 1}"#, "\u{0}", #"{"a":1}}"#, "nonsense"])
    func `P6: bytes that are no JSON are an error, not a crash`(text: String) {
        let error = #expect(throws: JSONTextError.self) { try JSONValue.parse(Array(text.utf8)) }
        #expect(error?.reason.isEmpty == false)
    }

    @Test(arguments: [#"{"a":"xx"#, #"{"a":"#, #"{"a":{"b":1}"#, "[1,2", #"{"a":"\"#])
    func `P6: input that was cut short is called so`(text: String) {
        let error = #expect(throws: JSONTextError.self) { try JSONValue.parse(Array(text.utf8)) }
        #expect(error?.reason.contains("cut short") == true)
    }

    @Test func `P3: the error for broken JSON holds nothing of the input`() {
        let text = #"{"PrivateKey": yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk= }"#
        let error = #expect(throws: JSONTextError.self) { try JSONValue.parse(Array(text.utf8)) }
        #expect(error?.reason.contains("yAnz") == false)
    }

    @Test func `nesting without end is refused, not followed`() {
        let text = String(repeating: "[", count: 200_000)
        let error = #expect(throws: JSONTextError.self) { try JSONValue.parse(Array(text.utf8)) }
        #expect(error?.reason.contains("64 levels") == true)
    }

    @Test func `a text as deep as the limit is read, one level more is not`() throws {
        func nested(_ levels: Int) -> [UInt8] {
            Array((String(repeating: "[", count: levels) + String(repeating: "]", count: levels)).utf8)
        }
        _ = try JSONValue.parse(nested(64))
        #expect(throws: JSONTextError.self) { try JSONValue.parse(nested(65)) }
    }

    @Test func `a number of more than 64 bits is refused, not changed`() {
        let error = #expect(throws: JSONTextError.self) { try JSONValue.parse(Array("[18446744073709551616]".utf8)) }
        #expect(error?.reason.contains("64 bits") == true)
    }

    @Test func `of two members of one name the last counts`() throws {
        #expect(try JSONValue.parse(Array(#"{"a":1,"a":2}"#.utf8)) == .object(["a": .integer(2)]))
    }

    @Test func `text that is no UTF-8 is an error, not another text`() {
        #expect(throws: JSONTextError.self) { try JSONValue.parse([0x22, 0xff, 0x22]) }
    }

    @Test func `every string comes out as it went in`() throws {
        for text in ["", "\u{0}", "\u{7f}\u{1b}[0m", "\\\"/\u{8}\t", "é\u{1f600}"] {
            let value = JSONValue.string(text)
            #expect(try JSONValue.parse(Array(value.serialized.utf8)) == value)
        }
    }
}
