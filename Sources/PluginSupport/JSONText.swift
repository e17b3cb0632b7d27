import FoundationEssentials

/// Bytes that are not the JSON they should be. The text holds no part of the input but a position: the input
/// may hold a key by mistake.
public struct JSONTextError: Error, Hashable, Sendable {
    public let reason: String
}

extension JSONValue {
    /// Reads a JSON text.
    public static func parse(_ bytes: [UInt8]) throws(JSONTextError) -> JSONValue {
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x0a || $0 == 0x0d || $0 == 0x09 }) {
            throw JSONTextError(reason: "empty input where a JSON object was expected")
        }
        // The decoder takes a stack frame of ours per level, far more deeply than any configuration nests.
        if nestingDepth(bytes) > maximumDepth {
            throw JSONTextError(reason: "not plausible JSON: nested more than \(maximumDepth) levels deep")
        }
        do {
            return try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        } catch DecodingError.dataCorrupted(let context) {
            let place = position(in: context.underlyingError)
            throw JSONTextError(reason: place.map { "not JSON: \($0)" } ?? "not JSON")
        } catch {
            throw JSONTextError(reason: "not JSON")
        }
    }

    private static let maximumDepth = 64

    /// The deepest level of lists and objects, as far as brackets outside strings tell.
    private static func nestingDepth(_ bytes: [UInt8]) -> Int {
        var depth = 0
        var deepest = 0
        var isInString = false
        var isEscaped = false
        for byte in bytes {
            if isEscaped {
                isEscaped = false
            } else if isInString {
                if byte == UInt8(ascii: "\\") { isEscaped = true }
                if byte == UInt8(ascii: "\"") { isInString = false }
            } else {
                switch byte {
                case UInt8(ascii: "\""): isInString = true
                case UInt8(ascii: "["), UInt8(ascii: "{"):
                    depth += 1
                    deepest = max(deepest, depth)
                case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
                default: break
                }
            }
        }
        return deepest
    }

    /// One line of JSON, members sorted, without the needless `\/`.
    public var serialized: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Encoding fails only for a number that is not finite, which no JSON text can have brought in.
        guard let data = try? encoder.encode(self) else { return "null" }
        return String(decoding: data, as: UTF8.self)
    }

    /// "line 3, column 14" out of the decoder's words, without the character that it quotes.
    private static func position(in error: (any Error)?) -> String? {
        guard let error else { return nil }
        let words = "\(error)"
        if words.contains("Unexpected end of file") { return "it ends in the middle (cut short?)" }
        guard let line = words.firstRange(of: "line "), let column = words.firstRange(of: "column ") else { return nil }
        let lineNumber = words[line.upperBound...].prefix { $0.isNumber }
        let columnNumber = words[column.upperBound...].prefix { $0.isNumber }
        return "line \(lineNumber), column \(columnNumber)"
    }
}
