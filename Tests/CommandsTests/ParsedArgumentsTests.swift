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
        // A forgotten value is not the next option.
        for next in ["--json", "-q", "--"] {
            #expect { try ParsedArguments.parse(["--netns", next], options: options) } throws: {
                "\($0)".contains("--netns needs a value")
            }
        }
    }

    @Test func `two dashes end the options, before CONFIG too; what is too much is told, not taken`() throws {
        let dashed = try ParsedArguments.parse(
            ["--", "-odd.conf", "curl", "--json"], options: options, positionalBeforeCommand: 1)
        #expect(dashed.positional == ["-odd.conf"] && dashed.command == ["curl", "--json"] && !dashed.has(.json))
        let surplus = try ParsedArguments.parse(["a", "--wait", "5", "c"], options: options)
        #expect(surplus.positional == ["a"] && surplus.surplus == .init(word: "5", optionBefore: .wait))
        #expect(try ParsedArguments.parse(["--wait=3", "a", "b"], options: options).surplus?.optionBefore == nil)
        #expect(try ParsedArguments.parse(["--", "--", "a"], options: options).positional == ["--"])
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
