import Testing

@testable import Commands
@testable import Tunnels

private func finding(_ verdict: CheckFinding.Verdict) -> CheckFinding { CheckFinding(verdict, "P1", "x") }

struct VerbTests {
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
