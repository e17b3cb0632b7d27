import LinuxSystem

/// Something in a configuration file that is wrong or worth a word, and where (promise P6).
///
/// Reads `wg0.conf:7:14: AllowedIPs "10.0.0/8": expected …`. It never shows a key: the text of a key's value is
/// left out, and so is any other text that might be one.
public struct ConfigurationProblem: Hashable, Sendable {
    /// The file as the caller named it.
    public let file: String
    /// Counted from 1.
    public let line: Int
    /// Characters from 1.
    public let column: Int
    /// The key or section it is about, such as `AllowedIPs`.
    public let subject: String
    /// The offending text, if it may be shown.
    public let text: String?
    /// What was expected, or what follows from it.
    public let explanation: String

    public init(file: String, line: Int, column: Int, subject: String, text: String? = nil, explanation: String) {
        self.file = file
        self.line = line
        self.column = column
        self.subject = subject
        self.text = text.map(showable)
        self.explanation = explanation
    }
}

extension ConfigurationProblem: CustomStringConvertible {
    public var description: String {
        var words = subject
        if let text { words += words.isEmpty ? "\"\(text)\"" : " \"\(text)\"" }
        return "\(printable(file, limit: .max)):\(line):\(column): \(words): \(explanation)"
    }
}

/// Every error of a file at once, in the order of its lines.
public struct ConfigurationErrors: Error, Hashable, Sendable {
    /// More of one file are counted, not kept.
    public static let maximumKept = 100

    public let problems: [ConfigurationProblem]
    public let omittedCount: Int

    public init(_ problems: [ConfigurationProblem], omittedCount: Int = 0) {
        self.problems = problems
        self.omittedCount = omittedCount
    }
}

extension ConfigurationErrors: CustomStringConvertible {
    /// One problem per line.
    public var description: String {
        var lines = problems.map(\.description)
        if omittedCount > 0 { lines.append("and \(omittedCount) more errors") }
        return lines.joined(separator: "\n")
    }
}

/// What the caller, who has read the file, says about its mode. `wg-quick` warns of the same.
public enum ConfigurationFileMode {
    /// Nil when only the owner and the group may read the file, or it holds no key.
    public static func warning(file: String, mode: UInt32, holdsKeys: Bool) -> String? {
        guard holdsKeys, mode & 0o007 != 0 else { return nil }
        let file = printable(file, limit: .max)
        return "\(file) holds a key and is accessible to everybody: chmod 600 \(file)"
    }
}

/// The text for a message: short, on one line, and no key.
///
/// A key that slipped into the wrong place (a value without its name, a key pasted as an endpoint) is a run of
/// 43 characters of base64; parts of one are shorter, but mix upper case, lower case and digits as no address and
/// hardly a name does. Both are described instead.
func showable(_ text: String) -> String {
    let longestShown = 60
    if mayHoldKey(text) { return "(\(text.utf8.count) characters, not shown)" }
    let escaped = text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: #"\""#)
    return printable(escaped, limit: longestShown)
}

private func mayHoldKey(_ text: String) -> Bool {
    var run = 0
    var classes: Set<Int> = []
    for byte in text.utf8 {
        guard isBase64Digit(byte) else {
            run = 0
            classes = []
            continue
        }
        run += 1
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): classes.insert(0)
        case UInt8(ascii: "a")...UInt8(ascii: "z"): classes.insert(1)
        default: classes.insert(2)
        }
        if run >= 22 || run >= 8 && classes.count == 3 { return true }
    }
    return false
}

func isBase64Digit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
        true
    default: false
    }
}
