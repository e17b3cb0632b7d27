import CJansson

/// Bytes that are not the JSON they should be. The text holds no part of the input but what kind of trouble it was: the
/// input may hold a key by mistake.
public struct JSONTextError: Error, Hashable, Sendable {
    public let reason: String
}

extension JSONValue {
    /// Far more than any configuration nests; every level takes a stack frame of ours.
    private static var maximumDepth: Int { 64 }

    /// Reads a JSON text (RFC 8259). Of two members of one name the last counts, as in the programs that call us.
    public static func parse(_ bytes: [UInt8]) throws(JSONTextError) -> JSONValue {
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x0a || $0 == 0x0d || $0 == 0x09 }) {
            throw JSONTextError(reason: "empty input where a JSON object was expected")
        }
        var error = json_error_t()
        let tree = bytes.withUnsafeBytes {
            json_loadb($0.baseAddress, $0.count, size_t(JSON_DECODE_ANY | JSON_ALLOW_NUL), &error)
        }
        guard let tree else {
            // The library takes a cut within `\"` for a wrong escape.
            throw JSONTextError(reason: bytes.last == UInt8(ascii: "\\") ? cutShort : reason(of: error))
        }
        defer { json_decref(tree) }
        return try value(of: tree, levels: maximumDepth)
    }

    /// The library's own words quote the input.
    private static func reason(of error: json_error_t) -> String {
        withUnsafePointer(to: error) { error in
            switch json_error_code(error) {
            case json_error_premature_end_of_input: cutShort
            case json_error_stack_overflow: tooDeep
            case json_error_numeric_overflow: "not plausible JSON: a number of more than 64 bits"
            case json_error_out_of_memory: "no memory for this JSON"
            default: "not JSON (line \(error.pointee.line), column \(error.pointee.column))"
            }
        }
    }

    private static var cutShort: String { "not JSON: it ends in the middle (cut short?)" }
    private static var tooDeep: String { "not plausible JSON: nested more than \(maximumDepth) levels deep" }

    private static func value(
        of tree: UnsafeMutablePointer<json_t>, levels: Int
    ) throws(JSONTextError) -> JSONValue {
        switch tree.pointee.type {
        case JSON_TRUE: return .bool(true)
        case JSON_FALSE: return .bool(false)
        case JSON_INTEGER: return .integer(json_integer_value(tree))
        case JSON_REAL: return .number(json_real_value(tree))
        case JSON_STRING: return .string(text(json_string_value(tree), json_string_length(tree)))
        case JSON_ARRAY:
            if levels == 0 { throw JSONTextError(reason: tooDeep) }
            var elements: [JSONValue] = []
            for index in 0..<json_array_size(tree) {
                guard let element = json_array_get(tree, index) else { break }
                elements.append(try value(of: element, levels: levels - 1))
            }
            return .array(elements)
        case JSON_OBJECT:
            if levels == 0 { throw JSONTextError(reason: tooDeep) }
            var members: [String: JSONValue] = [:]
            var place = json_object_iter(tree)
            while let here = place, let member = json_object_iter_value(here) {
                let name = text(json_object_iter_key(here), json_object_iter_key_len(here))
                members[name] = try value(of: member, levels: levels - 1)
                place = json_object_iter_next(tree, here)
            }
            return .object(members)
        default: return .null
        }
    }

    private static func text(_ start: UnsafePointer<CChar>?, _ byteCount: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : byteCount), as: UTF8.self)
    }

    /// One line of JSON, members sorted.
    public var serialized: String { text(size_t(JSON_COMPACT) | swg_json_full_precision()) }

    /// Lines for people, members sorted: the same value is the same bytes.
    public var indented: String { text(swg_json_indent_two() | swg_json_shown_precision()) }

    private func text(_ flags: size_t) -> String {
        // It fails without memory, and for a number that is not finite, which no JSON text can have brought in.
        guard let tree = tree() else { return "null" }
        defer { json_decref(tree) }
        guard let characters = json_dumps(tree, flags | size_t(JSON_SORT_KEYS | JSON_ENCODE_ANY)) else { return "null" }
        defer { free(characters) }
        return String(cString: characters)
    }

    private func tree() -> UnsafeMutablePointer<json_t>? {
        switch self {
        case .null: return json_null()
        case .bool(let value): return value ? json_true() : json_false()
        case .integer(let value): return json_integer(value)
        case .number(let value): return json_real(value)
        case .string(var value): return value.withUTF8 { json_stringn($0.baseAddress, $0.count) }
        case .array(let elements):
            let list = json_array()
            for element in elements where json_array_append_new(list, element.tree()) != 0 {
                json_decref(list)
                return nil
            }
            return list
        case .object(let members):
            let object = json_object()
            for (name, value) in members where json_object_set_new(object, name, value.tree()) != 0 {
                json_decref(object)
                return nil
            }
            return object
        }
    }
}
