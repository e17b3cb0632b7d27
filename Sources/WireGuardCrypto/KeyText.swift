import CSodium

/// Keys as text: 44 characters of base64 (wg(8)) or 64 of hexadecimal (UAPI). Decoding is libsodium's, in
/// constant time, straight into the locked slot.
public enum KeyText {
    static func decodeBase64(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var key = [UInt8](repeating: 0, count: 32)
        return key.withUnsafeMutableBytes { decode(base64: text, into: $0) } ? key : nil
    }

    static func decodeHex(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var key = [UInt8](repeating: 0, count: 32)
        return key.withUnsafeMutableBytes { decode(hex: text, into: $0) } ? key : nil
    }

    static func secret(base64 text: some Sequence<UInt8>) -> SecretBytes? {
        var good = false
        let secret = SecretBytes { good = decode(base64: text, into: $0) }
        return good ? secret : nil
    }

    static func secret(hex text: some Sequence<UInt8>) -> SecretBytes? {
        var good = false
        let secret = SecretBytes { good = decode(hex: text, into: $0) }
        return good ? secret : nil
    }

    public static func base64(_ bytes: [UInt8]) -> String {
        let variant = Int32(sodium_base64_VARIANT_ORIGINAL)
        var text = [CChar](repeating: 0, count: sodium_base64_encoded_len(bytes.count, variant))
        sodium_bin2base64(&text, text.count, bytes, bytes.count, variant)
        return String(decoding: text.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    public static func hex(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: bytes.count * 2 + 1)
        sodium_bin2hex(&text, text.count, bytes, bytes.count)
        return String(decoding: text.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func decode(base64 text: some Sequence<UInt8>, into key: UnsafeMutableRawBufferPointer) -> Bool {
        withText(text, count: 44) { pointer in
            var length = 0
            var end: UnsafePointer<CChar>?
            let variant = Int32(sodium_base64_VARIANT_ORIGINAL)
            guard let output = key.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            guard sodium_base642bin(output, key.count, pointer, 44, nil, &length, &end, variant) == 0 else {
                return false
            }
            return length == 32 && end == pointer + 44
        }
    }

    private static func decode(hex text: some Sequence<UInt8>, into key: UnsafeMutableRawBufferPointer) -> Bool {
        withText(text, count: 64) { pointer in
            var length = 0
            var end: UnsafePointer<CChar>?
            guard let output = key.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            guard sodium_hex2bin(output, key.count, pointer, 64, nil, &length, &end) == 0 else { return false }
            return length == 32 && end == pointer + 64
        }
    }

    /// The text in a buffer of exactly `count` characters that is wiped afterwards; false for another length.
    private static func withText(
        _ text: some Sequence<UInt8>, count: Int, _ body: (UnsafePointer<CChar>) -> Bool
    ) -> Bool {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: count) { buffer in
            defer { sodium_memzero(buffer.baseAddress, buffer.count) }
            var used = 0
            for byte in text {
                guard used < count else { return false }
                buffer[used] = CChar(bitPattern: byte)
                used += 1
            }
            guard used == count, let base = buffer.baseAddress else { return false }
            return body(UnsafePointer(base))
        }
    }
}
