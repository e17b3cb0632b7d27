import Testing

@testable import PluginSupport

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

    @Test func `P3: a value that looks like a key is never shown`() {
        let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
        #expect(!JSONValue.string("[Interface]\nPrivateKey = \(key)").shown.contains("yAnz"))
        #expect(!JSONValue.object(["x": .string(String(repeating: "0f", count: 32))]).shown.contains("0f0f"))
        #expect(JSONValue.string("/etc/wireguard/a.conf").shown == #""/etc/wireguard/a.conf""#)
    }

    @Test func `nesting without end is refused, not followed`() {
        let text = String(repeating: "[", count: 200_000)
        let error = #expect(throws: JSONTextError.self) { try JSONValue.parse(Array(text.utf8)) }
        #expect(error?.reason.contains("64 levels") == true)
    }
}
