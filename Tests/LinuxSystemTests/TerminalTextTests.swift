import Glibc
import LinuxSystem
import Testing

struct TerminalTextTests {
    @Test(arguments: [
        ("a\u{1b}[31mb", #"a\u{1b}[31mb"#), ("two\nlines\tand\r\n", #"two\nlines\tand\u{d}\n"#),
        ("\u{9b}31m\u{7f}", #"\u{9b}31m\u{7f}"#), ("a\u{202e}b\u{200b}c\u{2028}d", #"a\u{202e}b\u{200b}c\u{2028}d"#),
        ("/etc/wireguard/Zürich.conf", "/etc/wireguard/Zürich.conf"),
    ])
    func `what a terminal obeys, or what hides, is spelt out; the rest stays`(text: String, shown: String) {
        #expect(printable(text) == shown)
        #expect(printable(shown) == shown, "twice is not once")
    }

    @Test func `too long a text is cut off, and shows it`() {
        #expect(printable(String(repeating: "x", count: 64)).count == 64)
        #expect(printable(String(repeating: "x", count: 65)) == String(repeating: "x", count: 64) + "…")
        #expect(printable(String(repeating: "x", count: 500), limit: .max).count == 500)
        #expect(printable("") == "")
    }

    @Test func `P6: a refusal's object cannot write to the terminal, and is whole`() {
        let path = "/tmp/\u{1b}]0;owned\u{7}/" + String(repeating: "d", count: 300)
        let text = "\(SystemError(call: "open", object: path, errno: Errno(ENOENT)))"
        #expect(text.hasPrefix(#"open /tmp/\u{1b}]0;owned\u{7}/ddd"#) && text.contains("d: ENOENT"), "\(text)")
    }
}
