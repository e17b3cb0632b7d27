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
    private enum Content {
        case single(JSONValue)
        case members([String: Collector])
        case elements([Collector])
    }

    private var content = Content.single(.null)

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    var value: JSONValue {
        switch content {
        case .single(let value): value
        case .members(let members): .object(members.mapValues(\.value))
        case .elements(let elements): .array(elements.map(\.value))
        }
    }

    func set<Value: Encodable>(_ value: Value) throws {
        switch value {
        case let value as String: content = .single(.string(value))
        case let value as Bool: content = .single(.bool(value))
        case let value as Int: content = .single(.integer(Int64(value)))
        case let value as Int32: content = .single(.integer(Int64(value)))
        case let value as Int64: content = .single(.integer(value))
        case let value as UInt16: content = .single(.integer(Int64(value)))
        case let value as UInt32: content = .single(.integer(Int64(value)))
        case let value as UInt64:
            guard let number = Int64(exactly: value) else { throw unknown(value) }
            content = .single(.integer(number))
        case let value as Double: content = .single(.number(value))
        case is any FixedWidthInteger, is Float: throw unknown(value)
        default: try value.encode(to: self)
        }
    }

    func setNull() { content = .single(.null) }

    private func unknown(_ value: any Encodable) -> EncodingError {
        .invalidValue(value, .init(codingPath: [], debugDescription: "\(type(of: value)) is none of the types of ours"))
    }

    func member(_ name: String) -> Collector {
        let part = Collector()
        var members: [String: Collector] = [:]
        if case .members(let before) = content { members = before }
        members[name] = part
        content = .members(members)
        return part
    }

    func element() -> Collector {
        let part = Collector()
        var elements: [Collector] = []
        if case .elements(let before) = content { elements = before }
        content = .elements(elements + [part])
        return part
    }

    var elementCount: Int { if case .elements(let elements) = content { elements.count } else { 0 } }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        content = .members([:])
        return KeyedEncodingContainer(Members(part: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        content = .elements([])
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
