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
        let brackets = Brackets(bytes)
        // The decoder takes a stack frame of ours per level, far more deeply than any configuration nests.
        if brackets.deepest > maximumDepth {
            throw JSONTextError(reason: "not plausible JSON: nested more than \(maximumDepth) levels deep")
        }
        do {
            return try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        } catch {
            // The decoder's own words may quote the input.
            throw JSONTextError(reason: brackets.areOpen ? "not JSON: it ends in the middle (cut short?)" : "not JSON")
        }
    }

    private static let maximumDepth = 64

    /// One line of JSON, members sorted, without the needless `\/`.
    public var serialized: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Encoding fails only for a number that is not finite, which no JSON text can have brought in.
        guard let data = try? encoder.encode(self) else { return "null" }
        return String(decoding: data, as: UTF8.self)
    }
}

/// What brackets and quotes tell of a text, JSON or not.
private struct Brackets {
    /// Of lists and objects within each other.
    var deepest = 0
    /// A bracket or a string is open at the end.
    var areOpen = false

    init(_ bytes: [UInt8]) {
        var depth = 0
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
        areOpen = depth > 0 || isInString
    }
}
