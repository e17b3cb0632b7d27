import Testing
import WireGuardConfig

@testable import Commands

struct ParsedArgumentsTests {
    private let options: [Option] = [.netns, .wait, .json, .quiet, .strict]

    @Test func `values come as the next word or after an equals sign; the last one counts`() throws {
        let parsed = try ParsedArguments.parse(["a.conf", "--netns", "x", "--netns=y", "-q"], options: options)
        #expect(parsed[.netns] == "y" && parsed.has(.quiet) && !parsed.has(.json))
        #expect(parsed.positional == ["a.conf"])
    }

    @Test func `an optional value is never the next word`() throws {
        let parsed = try ParsedArguments.parse(["--wait", "a.conf"], options: options)
        #expect(parsed[.wait] == "" && parsed.positional == ["a.conf"])
        #expect(try ParsedArguments.parse(["--wait=3"], options: options)[.wait] == "3")
    }

    @Test func `parsing stops at COMMAND, with or without two dashes`() throws {
        let plain = try ParsedArguments.parse(
            ["--strict", "a.conf", "curl", "--json", "--", "x"], options: options, positionalBeforeCommand: 1)
        #expect(plain.command == ["curl", "--json", "--", "x"] && !plain.has(.json) && plain.has(.strict))
        let dashed = try ParsedArguments.parse(
            ["a.conf", "--json", "--", "--odd", "x"], options: options, positionalBeforeCommand: 1)
        #expect(dashed.command == ["--odd", "x"] && dashed.has(.json))
    }

    @Test func `P6: usage errors name the word, and the closest option`() {
        #expect { try ParsedArguments.parse(["--netsn", "x"], options: options) } throws: {
            "\($0)" == "unknown option --netsn; did you mean --netns?"
        }
        #expect { try ParsedArguments.parse(["--netns"], options: options) } throws: {
            "\($0)".contains("--netns PATH|NAME")
        }
        #expect { try ParsedArguments.parse(["--json=1"], options: options) } throws: {
            "\($0)".contains("takes no value")
        }
        #expect { try ParsedArguments.parse(["a", "b"], options: options) } throws: { "\($0)".contains("\"b\"") }
    }

    @Test func `the closest word is one slip away, not any word`() {
        #expect(closest(to: "attahc", among: ["attach", "detach", "list"]) == "attach")
        #expect(closest(to: "chekc", among: ["attach", "check"]) == "check")
        #expect(closest(to: "zzzzzz", among: ["attach", "check"]) == nil)
        #expect(closest(to: "foo", among: ["log", "run"]) == nil)
        #expect(closest(to: "", among: ["log", "run"]) == nil)
        #expect(closest(to: "rpair", among: ["run", "repair"]) == "repair")
        #expect(editDistance("kitten", "sitting") == 3)
    }
}
