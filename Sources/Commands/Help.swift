/// The help texts, made from the verbs' own descriptions.
enum Help {
    static var overview: String {
        var text = """
            swg-ns: give a network namespace a WireGuard interface as its only way out.

            usage: swg-ns VERB [options] …


            """
        let width = Verb.all.map(\.name.count).max() ?? 0
        for verb in Verb.all { text += "  \(pad(verb.name, width))  \(verb.summary)\n" }
        return text
            + "\nswg-ns VERB --help tells more. CONFIG is a wg-quick file, or the name of one in /etc/wireguard.\n"
    }

    static func text(_ verb: Verb) -> String {
        let notes = HelpNotes(verb: verb)
        let usage = verb.synopsis.isEmpty ? verb.name : "\(verb.name) \(verb.synopsis)"
        var text = "usage: swg-ns \(usage)\n\n\(verb.summary)\n\n"
        if !notes.explanations.isEmpty { text += notes.explanations + "\n" }
        let options = verb.allOptions
        let width = min(options.map(\.synopsis.count).max() ?? 0, 34)
        for option in options { text += "  \(pad(option.synopsis, width))  \(option.help)\n" }
        return text + notes.text
    }

    static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
