extension JSONValue {
    /// What a value encodes as: records of the state directory, documents for `--json`.
    public init(encoding value: some Encodable) throws {
        let collector = Collector()
        try collector.set(value)
        self = collector.value
    }
}

/// The value that is being encoded, or a part of it; the containers of a part write into it.
private final class Collector: Encoder {
    // One of them is set, the others are not; apart, so that each grows in place.
    private var single = JSONValue.null
    private var members: [String: Collector]?
    private var elements: [Collector]?

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    var value: JSONValue {
        if let members { return .object(members.mapValues(\.value)) }
        if let elements { return .array(elements.map(\.value)) }
        return single
    }

    func set<Value: Encodable>(_ value: Value) throws {
        switch value {
        case let value as String: single = .string(value)
        case let value as Bool: single = .bool(value)
        case let value as Int: single = .integer(Int64(value))
        case let value as Int32: single = .integer(Int64(value))
        case let value as Int64: single = .integer(value)
        case let value as UInt16: single = .integer(Int64(value))
        case let value as UInt32: single = .integer(Int64(value))
        case let value as UInt64:
            guard let number = Int64(exactly: value) else { throw unknown(value) }
            single = .integer(number)
        case let value as Double: single = .number(value)
        case is any FixedWidthInteger, is Float: throw unknown(value)
        default: try value.encode(to: self)
        }
    }

    func setNull() { single = .null }

    private func unknown(_ value: any Encodable) -> EncodingError {
        .invalidValue(value, .init(codingPath: [], debugDescription: "\(type(of: value)) is none of the types of ours"))
    }

    func member(_ name: String) -> Collector {
        let part = Collector()
        members?[name] = part
        return part
    }

    func element() -> Collector {
        let part = Collector()
        elements?.append(part)
        return part
    }

    var elementCount: Int { elements?.count ?? 0 }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        members = members ?? [:]
        return KeyedEncodingContainer(Members(part: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        elements = elements ?? []
        return Elements(part: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { Single(part: self) }
}

private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let part: Collector
    var codingPath: [any CodingKey] { [] }

    func encodeNil(forKey key: Key) { part.member(key.stringValue).setNull() }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try part.member(key.stringValue).set(value)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        part.member(key.stringValue).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        part.member(key.stringValue).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { part.member("super") }

    func superEncoder(forKey key: Key) -> any Encoder { part.member(key.stringValue) }
}

private struct Elements: UnkeyedEncodingContainer {
    let part: Collector
    var codingPath: [any CodingKey] { [] }
    var count: Int { part.elementCount }

    func encodeNil() { part.element().setNull() }

    func encode<Value: Encodable>(_ value: Value) throws { try part.element().set(value) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        part.element().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { part.element().unkeyedContainer() }

    func superEncoder() -> any Encoder { part.element() }
}

private struct Single: SingleValueEncodingContainer {
    let part: Collector
    var codingPath: [any CodingKey] { [] }

    func encodeNil() { part.setNull() }

    func encode<Value: Encodable>(_ value: Value) throws { try part.set(value) }
}
