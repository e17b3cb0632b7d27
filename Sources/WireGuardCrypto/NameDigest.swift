import CSodium

/// A hash over names: BLAKE2b-256 with each name's length before it, so that no two lists collide by
/// concatenation. For short identifiers, never for secrets.
public func digestOfNames(_ names: [String]) -> [UInt8] {
    var input: [UInt8] = []
    for name in names {
        let bytes = Array(name.utf8)
        for shift in stride(from: 56, through: 0, by: -8) {
            input.append(UInt8(truncatingIfNeeded: bytes.count >> shift))
        }
        input += bytes
    }
    var digest = [UInt8](repeating: 0, count: 32)
    crypto_generichash(&digest, digest.count, input, UInt64(input.count), nil, 0)
    return digest
}

/// BLAKE2b-256 of a file's bytes, to see later whether it is still the same.
public func digestOfBytes(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    crypto_generichash(&digest, digest.count, bytes, UInt64(bytes.count), nil, 0)
    return digest
}
