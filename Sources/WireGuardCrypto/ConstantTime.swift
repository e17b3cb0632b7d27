import CSodium

/// Comparisons whose time does not tell where two values differ (checklist N11).
public enum ConstantTime {
    public static func equal(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, byteCount: Int) -> Bool {
        sodium_memcmp(left, right, byteCount) == 0
    }

    public static func isZero(_ bytes: UnsafeRawPointer, byteCount: Int) -> Bool {
        sodium_is_zero(bytes.assumingMemoryBound(to: UInt8.self), byteCount) == 1
    }
}

/// Overwrites a secret in a way the compiler cannot leave out (checklist N12).
public func wipe(_ bytes: UnsafeMutableRawPointer, byteCount: Int) {
    sodium_memzero(bytes, byteCount)
}

/// Stack memory for intermediate secrets, wiped before it is given back.
func withSecretTemporary<Result>(_ byteCount: Int, _ body: (UnsafeMutableRawPointer) -> Result) -> Result {
    withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 16) { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("a temporary of no bytes") }
        defer { sodium_memzero(base, byteCount) }
        return body(base)
    }
}
