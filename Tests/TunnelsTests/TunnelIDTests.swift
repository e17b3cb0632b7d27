import Testing

@testable import Tunnels

struct TunnelIDTests {
    @Test(arguments: ["wg0", "a", "A_=+.-9", "123456789012345", "..."])
    func `an id of wg-quick's alphabet is taken`(text: String) throws { #expect(try TunnelID(text).text == text) }

    @Test(arguments: ["", ".", "..", "../x", "a/b", "a b", "1234567890123456", "a\0b", "ä", "a\nb", "a:b", "%d"])
    func `P5: a hostile id is refused`(text: String) {
        #expect { try TunnelID(text) } throws: { ($0 as? TunnelError)?.kind == .usage }
    }

    @Test(arguments: [
        "lo", "all", "default", "a/b", "a:b", "a b", "", ".", "..", "1234567890123456", "%d", "a\tb", "é",
    ])
    func `P5: a hostile interface name is refused`(text: String) {
        #expect { try InterfaceName(text) } throws: { ($0 as? TunnelError)?.kind == .usage }
    }

    @Test func `default ids are numbered, shortened where the number needs the room, and mended`() throws {
        #expect(try TunnelID.numbered("wg0", 1).text == "wg0")
        #expect(try TunnelID.numbered("wg0", 2).text == "wg0-2")
        #expect(try TunnelID.numbered("a-very-long-name", 1).text == "a-very-long-nam")
        #expect(try TunnelID.numbered("a-very-long-name", 12).text == "a-very-long--12")
        #expect(try TunnelID.numbered("two words", 1).text == "two-words")
        #expect(try TunnelID.numbered("..", 1).text == "tunnel")
    }

    @Test func `plugins' ids are c and 14 digits, and differ in each of their three parts`() {
        let id = TunnelID(network: "egress", container: "abc", interface: "eth0")
        #expect(id.text.utf8.count == 15 && id.text.hasPrefix("c"))
        #expect(id == TunnelID(network: "egress", container: "abc", interface: "eth0"))
        #expect(id != TunnelID(network: "egressa", container: "bc", interface: "eth0"))
        #expect(id != TunnelID(network: "egress", container: "abc", interface: "eth1"))
    }
}
