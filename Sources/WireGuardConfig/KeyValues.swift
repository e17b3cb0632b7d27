import WireGuardCrypto

// Keys in a configuration: 44 characters of base64. What is wrong with one is said without showing it.

extension ConfigurationParser {
    /// The key, decoded into its locked slot; a failed one is reported.
    mutating func secret(_ value: Piece, _ name: String) -> SecretBytes? {
        let (secret, fault) = decodeKey(value.bytes)
        if let fault { fail(column: value.column, name, nil, fault) }
        return secret
    }
}

/// The key in `text`, white space anywhere left out as wg(8) does, or what is wrong with it.
func decodeKey(_ text: UnsafeRawBufferPointer) -> (secret: SecretBytes?, fault: String?) {
    let length = 44
    return withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { buffer in
        defer { if let base = buffer.baseAddress { wipe(base, byteCount: buffer.count) } }
        var count = 0
        for byte in text where !isSpace(byte) {
            if count < length { buffer[count] = byte }
            count += 1
        }
        let expected = "expected \(length) characters of base64 that end in ="
        if let odd = buffer[..<min(count, length)].firstIndex(where: { !isBase64Digit($0) && $0 != UInt8(ascii: "=") })
        {
            return (nil, "character \(odd + 1) of the key is not base64; \(expected)")
        }
        guard count == length else { return (nil, "the key has \(count) characters; \(expected)") }
        guard buffer[length - 1] == UInt8(ascii: "="), buffer[length - 2] != UInt8(ascii: "=") else {
            return (nil, "the key does not end in one =; \(expected)")
        }
        guard let secret = SecretBytes.decoding(base64: UnsafeRawBufferPointer(buffer)) else {
            return (nil, "the key is not the base64 of 32 bytes; it may have been mistyped or cut")
        }
        return (secret, nil)
    }
}
