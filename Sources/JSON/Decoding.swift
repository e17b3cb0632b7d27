extension JSONValue {
    /// The value of a type of ours, such as a record of the state directory.
    ///
    /// - Throws: DecodingError, which names the place.
    public func decoded<Value: Decodable>(as type: Value.Type) throws -> Value {
        try Part(value: self, codingPath: []).get(type)
    }
}

/// A value within the one that is being decoded, and its place.
private struct Part: Decoder {
    let value: JSONValue
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func get<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let found: Any? =
            switch type {
            case is String.Type: value.text
            case is Bool.Type: value.flag
            case is Int.Type: value.integer.flatMap { Int(exactly: $0) }
            case is Int32.Type: value.integer.flatMap { Int32(exactly: $0) }
            case is Int64.Type: value.integer
            case is UInt16.Type: value.integer.flatMap { UInt16(exactly: $0) }
            case is UInt32.Type: value.integer.flatMap { UInt32(exactly: $0) }
            case is UInt64.Type: value.integer.flatMap { UInt64(exactly: $0) }
            case is Double.Type: value.real
            default: try Value(from: self)
            }
        guard let found = found as? Value else { throw mismatch(type) }
        return found
    }

    func mismatch(_ type: Any.Type) -> DecodingError {
        .typeMismatch(type, .init(codingPath: codingPath, debugDescription: "found \(value.kind)"))
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard let members = value.members else { throw mismatch([String: JSONValue].self) }
        return KeyedDecodingContainer(Members(members: members, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard let elements = value.elements else { throw mismatch([JSONValue].self) }
        return Elements(elements: elements, codingPath: codingPath)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { Single(part: self) }
}

private struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let members: [String: JSONValue]
    let codingPath: [any CodingKey]

    var allKeys: [Key] { members.keys.compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { members[key.stringValue] != nil }

    private func part(_ key: any CodingKey) throws -> Part {
        guard let value = members[key.stringValue] else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "there is no \(key.stringValue)"))
        }
        return Part(value: value, codingPath: codingPath + [key])
    }

    func decodeNil(forKey key: Key) throws -> Bool { try part(key).value.isNull }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try part(key).get(type) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try part(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try part(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { Part(value: .object(members), codingPath: codingPath) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try part(key) }
}

private struct Elements: UnkeyedDecodingContainer {
    let elements: [JSONValue]
    let codingPath: [any CodingKey]
    var currentIndex = 0

    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    private struct Place: CodingKey {
        let intValue: Int?
        init(intValue: Int) { self.intValue = intValue }
        init?(stringValue: String) { nil }
        var stringValue: String { intValue.map { "\($0)" } ?? "" }
    }

    private mutating func next() throws -> Part {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                JSONValue.self, .init(codingPath: codingPath, debugDescription: "the list ends"))
        }
        defer { currentIndex += 1 }
        return Part(value: elements[currentIndex], codingPath: codingPath + [Place(intValue: currentIndex)])
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, elements[currentIndex].isNull else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next().get(type) }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try next().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next().unkeyedContainer() }

    mutating func superDecoder() throws -> any Decoder { try next() }
}

private struct Single: SingleValueDecodingContainer {
    let part: Part
    var codingPath: [any CodingKey] { part.codingPath }

    func decodeNil() -> Bool { part.value.isNull }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try part.get(type) }
}
