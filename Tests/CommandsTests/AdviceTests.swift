import Testing

@testable import Commands

/// What swg-ns says to a wrong command line (promise P6: what to do, not only what is wrong).
struct AdviceTests {
    private func error(_ words: String) throws -> String {
        let words = words.split(separator: " ").map(String.init)
        let verb = try #require(Verb.all.first { $0.name == words[0] })
        do throws(UsageError) {
            let arguments = try verb.parse(Array(words.dropFirst()))
            return arguments.surplus.map { Advice.forSurplus($0, of: verb, arguments) } ?? "no error"
        } catch {
            return error.description
        }
    }

    @Test(arguments: [
        ("attach wg0.conf demo", #"unexpected argument "demo"; did you mean --netns demo?"#),
        ("attach wg0.conf /proc/7/ns/net", #""/proc/7/ns/net"; did you mean --netns /proc/7/ns/net?"#),
        ("attach wg0.conf 1234", "did you mean --pid 1234?"),
        ("attach demo wg0.conf", "did you mean swg-ns attach wg0.conf --netns demo?"),
        ("attach wg0.conf --netns demo --wait 5", "did you mean --wait=5?"),
        ("attach a.conf b.conf --netns demo", "it is swg-ns attach [options] CONFIG TARGET"),
        ("attach wg0.conf --namespace demo", "unknown option --namespace; did you mean --netns?"),
        ("detach a b", "it is swg-ns detach TUNNEL | TARGET"),
        ("set a b c", #"unexpected argument "c"; it is swg-ns set TUNNEL [CONFIG]"#),
        ("list wg0", "did you mean swg-ns show wg0?"),
        ("gc all", #"unexpected argument "all"; gc takes none"#),
        ("exec --netns demo id", "unknown option --netns; of attach, detach, show, check only"),
        ("set --hooks wg0", "unknown option --hooks; of attach only"),
        ("run --sritct wg0.conf id", "did you mean --strict?"),
    ])
    func `a word in the wrong place is answered with what was meant`(typed: String, answer: String) throws {
        let text = try error(typed)
        #expect(text.contains(answer), "\(text)")
    }

    @Test(arguments: [
        ("up", "attach"), ("down", "detach"), ("ls", "list"), ("status", "show"), ("logs", "log"),
        ("dettach", "detach"),
        ("syncconf", "set"), ("--verison", "--version"),
    ])
    func `a verb of another tool, or a slip, is answered with ours`(typed: String, meant: String) {
        #expect(Advice.forVerb(typed) == "did you mean \(meant)?")
    }

    @Test func `what nobody can guess gets no guess; an option before the verb is told its place`() {
        #expect(Advice.forVerb("frobnicate") == nil && Advice.forVerb("") == nil && Advice.forVerb("-z") == nil)
        #expect(Advice.forVerb("--json") == "options come after the verb")
        #expect(Advice.forOption("--frobnicate", known: Option.common) == nil)
        #expect(SwgNamespaceCommand.main(["help", "nonsense"]) == 2)
    }

    @Test func `every guess is a verb or an option of ours`() {
        for word in ["up", "rm", "ps", "info", "reload", "enter", "test", "prune", "fix", "journal"] {
            let names = Verb.all.map { "did you mean \($0.name)?" }
            #expect(names.contains(Advice.forVerb(word) ?? ""), "\(word)")
        }
        for word in ["--ns", "--dev", "--ctr", "--process", "--format"] {
            let known = Verb.attach.allOptions
            let names = known.map { "did you mean \($0.name)?" }
            #expect(names.contains(Advice.forOption(word, known: known) ?? ""), "\(word)")
        }
    }

    @Test(arguments: ["pubkey", "genkey", "detach x"])
    func `P3: a key typed as a word is not printed`(command: String) throws {
        let key = String(repeating: "A", count: 42) + "E="
        let text = try error("\(command) \(key)")
        #expect(text.contains("unexpected argument (44 characters, not shown)") && !text.contains(key), "\(text)")
        #expect(try !error("pubkey \(key.dropLast(3))").contains("AAAA"))
    }
}
