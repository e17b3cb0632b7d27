/// Text from elsewhere (a path, a word of the command line, another program's message) made fit for a terminal, a log
/// and one line of either.
///
/// What a terminal obeys instead of showing (controls, C1 ones too) and what makes text look like other text (marks of
/// direction, invisible characters, foreign line ends) becomes `\n`, `\t` or `\u{…}`. Twice is the same as once.
///
/// - Parameter limit: Unicode scalars; more are cut off, and `…` tells.
public func printable(_ text: some StringProtocol, limit: Int = 64) -> String {
    var result = String.UnicodeScalarView()
    var rest = text.unicodeScalars[...]
    var count = 0
    while count < limit, let scalar = rest.popFirst() {
        count += 1
        switch scalar {
        case "\n": result += #"\n"#.unicodeScalars
        case "\t": result += #"\t"#.unicodeScalars
        default:
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                result += "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars
            default: result.append(scalar)
            }
        }
    }
    return String(result) + (rest.isEmpty ? "" : "…")
}
