import LinuxSystem
import Testing

@testable import Commands
@testable import Tunnels

private func finding(_ verdict: CheckFinding.Verdict) -> CheckFinding { CheckFinding(verdict, "P1", "x") }

struct VerbTests {
    @Test func `every verb's help explains its words, its exit status, and has an example that parses`() throws {
        for verb in Verb.all {
            let help = Help.text(verb)
            for word in ["CONFIG", "TARGET", "TUNNEL", "COMMAND"] where verb.synopsis.contains(word) {
                #expect(help.contains("\n  \(word) "), "\(verb.name) does not explain \(word)")
            }
            #expect(help.contains("\nexit status:  "))
            let example = try #require(HelpNotes.examples[verb.name], "\(verb.name) has no example")
            #expect(help.contains(example))
            let words = example.split { " ()".contains($0) }.map(String.init)
            let start = try #require(words.firstIndex(of: "swg-ns"))
            let typed = words[(start + 1)...].prefix { !$0.hasPrefix("<") && !$0.hasPrefix(">") }
            #expect(typed.first == verb.name)
            #expect(try verb.parse(Array(typed.dropFirst())).surplus == nil)
        }
    }

    @Test func `every verb of the design is there, and its help names every option`() {
        let wanted: Set<String> = [
            "run", "attach", "detach", "exec", "list", "show", "check", "set", "gc", "repair", "genkey", "genpsk",
            "pubkey",
        ]
        #expect(wanted.isSubset(of: Set(Verb.all.map(\.name))))
        for verb in Verb.all {
            let help = Help.text(verb)
            for option in verb.allOptions { #expect(help.contains(option.name) && !option.help.isEmpty) }
            #expect(Set(verb.allOptions.map(\.name)).count == verb.allOptions.count, "\(verb.name) has an option twice")
        }
    }

    @Test func `the manual page names every command and every option`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let page = try File.readText("/\(root)/Sources/swg-ns/swg-ns.8")
        let words = Set(page.filter { $0 != "\\" }.split { " \n\",[=".contains($0) }.map(String.init))
        for verb in Verb.all {
            #expect(words.contains(verb.name), "\(verb.name)")
            for option in verb.allOptions { #expect(words.contains(option.name), "\(option.name)") }
        }
    }

    @Test func `usage errors exit 2, of run and exec 125`() {
        #expect(SwgNamespaceCommand.main(["attach", "--nonsense"]) == 2)
        #expect(SwgNamespaceCommand.main(["nonsense"]) == 2)
        #expect(SwgNamespaceCommand.main([]) == 2)
        #expect(SwgNamespaceCommand.main(["run", "--nonsense"]) == 125)
        #expect(SwgNamespaceCommand.main(["exec"]) == 125)
        #expect(SwgNamespaceCommand.main(["list", "--state-dir", "relative"]) == 2)
        #expect(SwgNamespaceCommand.main(["attach", "--help"]) == 0)
        #expect(SwgNamespaceCommand.main(["--version"]) == 0)
    }

    @Test func `check exits 0 when all is proven, 1 when not, 2 when it could not look`() {
        #expect(Verb.status([finding(.proven), finding(.note)]) == 0)
        #expect(Verb.status([finding(.proven), finding(.unknown)]) == 2)
        #expect(Verb.status([finding(.unknown), finding(.violated)]) == 1)
    }

    @Test func `columns are as wide as their widest word`() {
        #expect(Verb.table([["ID", "STATE"], ["longer", "x"]]) == ["ID      STATE", "longer  x"])
    }

    @Test func `a bare name is looked for in /etc/wireguard first`() {
        #expect(ConfigurationChoice.candidates("home").first == "/etc/wireguard/home.conf")
    }
}
