// Keys out of the bytes of a request or a file: no string in between, straight into the locked slot.

extension SecretBytes {
    /// 64 hexadecimal digits (UAPI); nil for anything else.
    public static func decoding(hex text: UnsafeRawBufferPointer) -> SecretBytes? { KeyText.secret(hex: text) }

    /// 44 characters of base64 with one `=` (wg(8)); nil for anything else.
    public static func decoding(base64 text: UnsafeRawBufferPointer) -> SecretBytes? { KeyText.secret(base64: text) }
}

extension PublicKey {
    /// 64 hexadecimal digits (UAPI); nil for anything else.
    public init?(hex text: UnsafeRawBufferPointer) {
        guard let bytes = KeyText.decodeHex(text) else { return nil }
        self.init(bytes: bytes)
    }

    /// 44 characters of base64 with one `=` (wg(8)); nil for anything else.
    public init?(base64 text: UnsafeRawBufferPointer) {
        guard let bytes = KeyText.decodeBase64(text) else { return nil }
        self.init(bytes: bytes)
    }
}
