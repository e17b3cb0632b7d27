import JSON
import Testing

@testable import PluginSupport

@Suite struct ShownValueTests {
    @Test func `P3: a value that looks like a key is never shown`() {
        let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
        #expect(!JSONValue.string("[Interface]\nPrivateKey = \(key)").shown.contains("yAnz"))
        #expect(!JSONValue.object(["x": .string(String(repeating: "0f", count: 32))]).shown.contains("0f0f"))
        #expect(JSONValue.string("/etc/wireguard/a.conf").shown == #""/etc/wireguard/a.conf""#)
    }
}
