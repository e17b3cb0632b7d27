/// Any JSON value (RFC 8259): what a runtime hands us holds keys of other people, and those that we pass on
/// must come out as they went in.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
}

extension JSONValue {
    public var text: String? { if case .string(let value) = self { value } else { nil } }
    public var flag: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var elements: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var members: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }
    public var isNull: Bool { self == .null }

    /// A whole number, also when it was written as `1420.0`.
    public var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }

    public var real: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// A member of an object; nil for other values and for members that are absent. `null` counts as absent.
    public subscript(_ key: String) -> JSONValue? {
        guard let value = members?[key], !value.isNull else { return nil }
        return value
    }

    /// The kind of value in the words of JSON, for messages.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
