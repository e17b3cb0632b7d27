import Glibc
import LinuxSystem
import Testing

@Suite struct EnvironmentVariablesTests {
    private let variables = EnvironmentVariables(entries: [
        "AB=2", "A=1", "EMPTY=", "A=3", "MARK=\u{301}x", "bare", "=odd",
    ])

    @Test func `a variable is found as getenv finds it: by its whole name, and the first of two`() {
        #expect(variables["A"] == "1" && variables["AB"] == "2" && variables["EMPTY"] == "")
        #expect(variables["B"] == nil && variables["bare"] == nil)
        // A character that combines with the sign before it belongs to the value all the same.
        #expect(variables["MARK"] == "\u{301}x")
    }

    @Test func `setting one replaces all of its name and keeps everything else word for word`() {
        let changed = variables.setting("A", to: "new")
        #expect(changed.entries == ["AB=2", "EMPTY=", "MARK=\u{301}x", "bare", "=odd", "A=new"])
        #expect(changed.setting("C", to: "").entries == changed.entries + ["C="])
    }

    @Test func `this process's own are what it was started with`() {
        #expect(EnvironmentVariables.own["PATH"] == getenv("PATH").map { String(cString: $0) })
    }
}
