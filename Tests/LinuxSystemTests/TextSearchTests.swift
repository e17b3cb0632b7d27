import LinuxSystem
import Testing

@Suite struct TextSearchTests {
    @Test func `a text holds its parts, and nothing else`() {
        for part in ["", "a", "/../", "é/b", "a/../é/b"] { #expect("a/../é/b".holds(part), "\(part)") }
        for part in ["b/", "A", "a/../é/bc"] { #expect(!"a/../é/b".holds(part), "\(part)") }
        #expect("".holds(""))
        #expect(!"".holds("a"))
        #expect("a\u{0}b".holds("\u{0}b"))
    }
}
