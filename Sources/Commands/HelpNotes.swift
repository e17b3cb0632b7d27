import LinuxSystem

/// What `swg-ns VERB --help` says besides the options: the words of the synopsis, an example, the exit status.
struct HelpNotes {
    let verb: Verb

    /// One example for each verb, as typed.
    static let examples: [String: String] = [
        "run": "swg-ns run wg0.conf -- curl https://example.org",
        "attach": "sudo swg-ns attach wg0.conf --netns blue --create --wait",
        "detach": "sudo swg-ns detach --netns blue",
        "exec": "sudo swg-ns exec wg0 -- ping -c 1 10.99.0.1",
        "list": "sudo swg-ns list --json",
        "show": "sudo swg-ns show wg0",
        "check": "sudo swg-ns check --container web",
        "set": "sudo swg-ns set wg0",
        "repair": "sudo swg-ns repair",
        "gc": "sudo swg-ns gc",
        "log": "sudo swg-ns log wg0",
        "doctor": "swg-ns doctor",
        "genkey": "(umask 077; swg-ns genkey >private.key)",
        "genpsk": "(umask 077; swg-ns genpsk >preshared.key)",
        "pubkey": "swg-ns pubkey <private.key",
    ]

    private static let words = [
        (
            "CONFIG",
            "a wg-quick file, or NAME of /etc/wireguard/NAME.conf or ~/.config/swg-ns/NAME.conf; - is standard input"
        ),
        ("TARGET", "a network namespace: --netns NAME|PATH, --pid PID or --container ID"),
        ("TUNNEL", "an id of swg-ns list, a unique beginning of one, a container's id, or namespace/pod"),
        ("COMMAND", "what to execute, with its own options; ours end before it"),
    ]

    /// The words of the synopsis that need an explanation.
    var explanations: String {
        var used = Self.words.filter { verb.synopsis.holds($0.0) }
        // The second `detach wg0` must not mean `wg0-2`.
        if verb.name == "detach", let index = used.firstIndex(where: { $0.0 == "TUNNEL" }) {
            used[index].1 = "an id of swg-ns list, a container's id, or namespace/pod"
        }
        return used.map { "  \(Help.pad($0.0, 7))  \($0.1)\n" }.joined()
    }

    var exitStatus: String {
        switch verb.name {
        case "run", "exec":
            "the command's own; 125 swg-ns failed, 126 cannot execute, 127 not found, 128+N killed by signal N"
        case "check": "0 proven, 1 not proven, 2 could not look"
        case "doctor": "0 tunnels can be made, 1 they cannot, 2 wrong usage"
        default: "0 done, 1 failed, 2 wrong usage"
        }
    }

    var text: String {
        let example = Self.examples[verb.name].map { "example:      \($0)\n" } ?? ""
        return "\n\(example)exit status:  \(exitStatus)\n"
    }
}
