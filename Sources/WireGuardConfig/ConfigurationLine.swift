/// A piece of a line: trimmed, and knowing where it stands.
struct Piece {
    /// The whole line without its comment.
    let line: UnsafeRawBufferPointer
    let range: Range<Int>

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: line[range]) }
    var isEmpty: Bool { range.isEmpty }

    /// Characters before it, plus one.
    var column: Int { line[..<range.lowerBound].reduce(1) { $1 & 0xc0 == 0x80 ? $0 : $0 + 1 } }

    var string: String { String(decoding: bytes, as: UTF8.self) }

    /// wg(8) takes all white space out of a line before it looks at it.
    var stringWithoutSpaces: String { String(decoding: bytes.filter { !isSpace($0) }, as: UTF8.self) }

    var containsSpace: Bool { bytes.contains(where: isSpace) }

    init(line: UnsafeRawBufferPointer, _ range: Range<Int>) {
        var range = range
        while let first = range.first, isSpace(line[first]) { range = (first + 1)..<range.upperBound }
        while let last = range.last, isSpace(line[last]) { range = range.lowerBound..<last }
        self.line = line
        self.range = range
    }

    func piece(_ range: Range<Int>) -> Piece { Piece(line: line, range) }

    /// Split at commas; empty pieces stay.
    var items: [Piece] {
        var result: [Piece] = []
        var start = range.lowerBound
        for index in range where line[index] == UInt8(ascii: ",") {
            result.append(piece(start..<index))
            start = index + 1
        }
        result.append(piece(start..<range.upperBound))
        return result
    }

    /// Split at white space.
    var words: [Piece] {
        var result: [Piece] = []
        var start: Int?
        for index in range {
            if isSpace(line[index]) {
                if let begin = start { result.append(piece(begin..<index)) }
                start = nil
            } else if start == nil {
                start = index
            }
        }
        if let begin = start { result.append(piece(begin..<range.upperBound)) }
        return result
    }
}

/// What a line of a configuration file is, by its form.
enum ConfigurationLine {
    case blank
    /// What stands in the brackets.
    case section(Piece)
    case assignment(name: Piece, value: Piece)
    /// Neither.
    case other(Piece)

    init(_ line: UnsafeRawBufferPointer) {
        let end = line.firstIndex(of: UInt8(ascii: "#")) ?? line.count
        let text = UnsafeRawBufferPointer(rebasing: line[..<end])
        let whole = Piece(line: text, 0..<end)
        if whole.isEmpty {
            self = .blank
        } else if text[whole.range.lowerBound] == UInt8(ascii: "["),
            text[whole.range.upperBound - 1] == UInt8(ascii: "]")
        {
            self = .section(whole.piece((whole.range.lowerBound + 1)..<(whole.range.upperBound - 1)))
        } else if let equals = text.firstIndex(of: UInt8(ascii: "=")) {
            self = .assignment(name: whole.piece(0..<equals), value: whole.piece((equals + 1)..<end))
        } else {
            self = .other(whole)
        }
    }
}

/// isspace(3) in the C locale.
func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
