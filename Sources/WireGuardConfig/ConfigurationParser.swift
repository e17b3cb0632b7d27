import IPAddressing
import WireGuardCrypto
import WireGuardModel

// How a configuration file is read.
//
// For whom: Tunnels, which has read the file's bytes and wipes them afterwards. No I/O here, no name is
// resolved, no command run. The rules are those of wg(8)'s config.c and of wg-quick(8)'s parse_options: `#`
// begins a comment anywhere; sections and keys in any case; white space inside the values of wg(8)'s keys is no
// part of them; commas and repetition accumulate; of a key with one value the last counts. A file that both
// tools accept is accepted (promise P7).
//
// What can go wrong: anything, since the file is foreign. Parsing goes on after every error so that all are
// reported at once with their place (P6); key material goes from the bytes into locked slots and into no message.

/// A configuration, and what a person should know about it although it is valid.
public struct ParsedConfiguration: Equatable, Sendable {
    public var configuration: TunnelConfiguration
    public var warnings: [ConfigurationProblem]
}

extension TunnelConfiguration {
    /// The limit of a file's size in bytes; one with 130,560 prefixes has about five million.
    public static let maximumFileBytes = 64 << 20

    /// Reads the text of a file called `file` in messages. The bytes stay the caller's to wipe.
    public static func parse(
        _ text: UnsafeRawBufferPointer, file: String
    ) throws(ConfigurationErrors) -> ParsedConfiguration {
        var parser = ConfigurationParser(file: file)
        parser.read(text)
        return try parser.finish()
    }

    /// The same for text that is in a string already, such as a test's.
    public static func parse(_ text: String, file: String) throws(ConfigurationErrors) -> ParsedConfiguration {
        var parser = ConfigurationParser(file: file)
        Array(text.utf8).withUnsafeBytes { parser.read($0) }
        return try parser.finish()
    }
}

/// A peer's section while it is read.
struct PeerSection {
    let line: Int
    let column: Int
    var publicKeyPlace: (line: Int, column: Int)?
    /// Whether `PublicKey=` came, right or wrong.
    var saysPublicKey = false
    /// Its key stands for nothing until `PublicKey=` came.
    var peer = TunnelPeer(publicKey: noKey)

    private static let noKey = [UInt8](repeating: 0, count: 32).withUnsafeBytes { PublicKey(copying: $0) }

    init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

struct ConfigurationParser {
    let file: String
    var configuration = TunnelConfiguration()
    var peers: [PeerSection] = []
    var lineNumber = 0
    private(set) var errors: [ConfigurationProblem] = []
    private(set) var errorCount = 0
    private(set) var warnings: [ConfigurationProblem] = []
    private var section: ConfigurationSection?
    private var sectionIsUnknown = false
    private var interfaceSections = 0
    /// Keys with one value that the section has had, and their lines.
    private var seen: [ConfigurationKey: Int] = [:]

    init(file: String) { self.file = file }

    mutating func read(_ text: UnsafeRawBufferPointer) {
        guard text.count <= TunnelConfiguration.maximumFileBytes else {
            lineNumber = 1
            return fail(column: 1, "file", nil, "expected at most \(TunnelConfiguration.maximumFileBytes) bytes")
        }
        var start = 0
        // Editors on Windows put it there.
        if text.starts(with: [0xef, 0xbb, 0xbf]) { start = 3 }
        while start < text.count {
            let rest = UnsafeRawBufferPointer(rebasing: text[start...])
            let length = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
            lineNumber += 1
            read(line: UnsafeRawBufferPointer(rebasing: rest[..<length]))
            start += length + 1
        }
    }

    private mutating func read(line: UnsafeRawBufferPointer) {
        switch ConfigurationLine(line) {
        case .blank: break
        case .section(let name): begin(name)
        case .assignment(let name, let value): assign(name, value)
        case .other(let text):
            if text.bytes.first == UInt8(ascii: ";") {
                fail(text, "line", "comments begin with #")
            } else if let key = ConfigurationKey(name: text.stringWithoutSpaces) {
                fail(column: text.column, key.rawValue, nil, "expected \(key.rawValue) = …")
            } else {
                fail(text, "line", "expected [Interface], [Peer] or KEY = VALUE")
            }
        }
    }

    private mutating func begin(_ name: Piece) {
        seen = [:]
        let word = name.stringWithoutSpaces.lowercased()
        section = ConfigurationSection.allCases.first { $0.rawValue.lowercased() == word }
        sectionIsUnknown = section == nil
        switch section {
        case .interface:
            interfaceSections += 1
            if interfaceSections == 2 {
                warn(column: name.column, "[Interface]", nil, "begins a second time; both count as one")
            }
        case .peer:
            peers.append(PeerSection(line: lineNumber, column: name.column))
        case nil:
            fail(name, "section", "expected [Interface] or [Peer]")
        }
    }

    private mutating func assign(_ name: Piece, _ value: Piece) {
        let word = name.stringWithoutSpaces
        guard let key = ConfigurationKey(name: word) else {
            let meant = ConfigurationKey.nearest(to: word).map { "; did you mean \($0.rawValue)?" } ?? ""
            let known = ConfigurationKey.allCases.filter { $0.section == section }.map(\.rawValue)
            let expected = known.isEmpty || !meant.isEmpty ? "" : "; expected one of \(known.joined(separator: ", "))"
            return fail(name, "key", "is unknown\(meant)\(expected)")
        }
        guard let section else {
            // One message per unknown section is enough.
            if sectionIsUnknown { return }
            return fail(column: name.column, key.rawValue, nil, "expected [\(key.section.rawValue)] before it")
        }
        guard key.section == section else {
            let place = "belongs into [\(key.section.rawValue)], and this is [\(section.rawValue)]"
            return fail(column: name.column, key.rawValue, nil, place)
        }
        if value.isEmpty, key.mayBeEmpty { return }
        if value.isEmpty { return fail(column: name.column, key.rawValue, nil, "expected a value after =") }
        if !key.accumulates, let line = seen.updateValue(lineNumber, forKey: key) {
            warn(column: name.column, key.rawValue, nil, "was said in line \(line) already; this one counts")
        }
        if section == .interface { setInterface(key, value) } else { setPeer(key, value) }
    }

    // MARK: What was found

    mutating func fail(_ piece: Piece, _ subject: String, _ explanation: String) {
        // Counting columns and copying text for each of a million errors would be work without a reader.
        guard errorCount < ConfigurationErrors.maximumKept else {
            errorCount += 1
            return
        }
        fail(column: piece.column, subject, String(decoding: piece.bytes.prefix(400), as: UTF8.self), explanation)
    }

    mutating func fail(column: Int, _ subject: String, _ text: String?, _ explanation: String) {
        errorCount += 1
        if errors.count < ConfigurationErrors.maximumKept {
            errors.append(problem(lineNumber, column, subject, text, explanation))
        }
    }

    mutating func fail(at place: (line: Int, column: Int), _ subject: String, _ explanation: String) {
        errorCount += 1
        if errors.count < ConfigurationErrors.maximumKept {
            errors.append(problem(place.line, place.column, subject, nil, explanation))
        }
    }

    mutating func warn(column: Int, _ subject: String, _ text: String?, _ explanation: String) {
        if warnings.count < ConfigurationErrors.maximumKept {
            warnings.append(problem(lineNumber, column, subject, text, explanation))
        }
    }

    mutating func warn(at place: (line: Int, column: Int), _ subject: String, _ text: String?, _ explanation: String) {
        if warnings.count < ConfigurationErrors.maximumKept {
            warnings.append(problem(place.line, place.column, subject, text, explanation))
        }
    }

    private func problem(
        _ line: Int, _ column: Int, _ subject: String, _ text: String?, _ explanation: String
    ) -> ConfigurationProblem {
        ConfigurationProblem(
            file: file, line: line, column: column, subject: subject, text: text, explanation: explanation)
    }

    mutating func finish() throws(ConfigurationErrors) -> ParsedConfiguration {
        checkWhole(hasInterface: interfaceSections > 0)
        guard errorCount == 0 else {
            let sorted = errors.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
            throw ConfigurationErrors(sorted, omittedCount: errorCount - errors.count)
        }
        configuration.peers = peers.map(\.peer)
        let sorted = warnings.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        return ParsedConfiguration(configuration: configuration, warnings: sorted)
    }
}
