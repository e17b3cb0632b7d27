import CSodium
import Glibc
import LinuxSystem

/// Text with keys in it: a growing byte buffer in pages of its own, locked, left out of core dumps, and wiped
/// when it grows, shrinks or ends (promise P3).
///
/// Writers of configuration files and of the UAPI append to it; readers read(2) into its spare room; the caller
/// sends its bytes and lets it go. It has no description that shows them.
public struct SecretText: ~Copyable, @unchecked Sendable {
    private var storage: UnsafeMutableRawBufferPointer
    /// Bytes of text.
    public private(set) var count = 0

    /// Room for `capacity` bytes, rounded up to pages.
    public init(capacity: Int = 4096) { storage = SecretText.map(capacity) }

    deinit { SecretText.unmap(storage) }

    public var isEmpty: Bool { count == 0 }

    /// The text, valid inside `body`.
    public func withBytes<Result, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> Result) throws(E) -> Result {
        try body(UnsafeRawBufferPointer(rebasing: storage[..<count]))
    }

    public mutating func append(_ byte: UInt8) {
        reserve(1)
        storage[count] = byte
        count += 1
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: storage[count...]).copyMemory(from: bytes)
        count += bytes.count
    }

    /// Text that is no secret.
    public mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Text that is no secret.
    @_disfavoredOverload public mutating func append(_ text: some StringProtocol) {
        for byte in text.utf8 { append(byte) }
    }

    public mutating func append(decimal number: some UnsignedInteger & FixedWidthInteger) {
        // Twenty digits are UInt64.max.
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var start = digits.count
            var rest = UInt64(truncatingIfNeeded: number)
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            append(UnsafeRawBufferPointer(rebasing: digits[start...]))
        }
    }

    /// A key as 64 hexadecimal digits (UAPI), in constant time.
    public mutating func append(hexOf secret: SecretBytes) { secret.withBytes { append(hex: $0) } }

    public mutating func append(hexOf key: PublicKey) { key.withBytes { append(hex: $0) } }

    private mutating func append(hex bytes: UnsafeRawBufferPointer) {
        encode(length: bytes.count * 2) { text, capacity in
            _ = sodium_bin2hex(text, capacity, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        }
    }

    /// A key as 44 characters of base64 (wg(8)), in constant time.
    public mutating func append(base64Of secret: SecretBytes) { secret.withBytes { append(base64: $0) } }

    public mutating func append(base64Of key: PublicKey) { key.withBytes { append(base64: $0) } }

    private mutating func append(base64 bytes: UnsafeRawBufferPointer) {
        let variant = Int32(sodium_base64_VARIANT_ORIGINAL)
        encode(length: sodium_base64_encoded_len(bytes.count, variant) - 1) { text, capacity in
            let input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            _ = sodium_bin2base64(text, capacity, input, bytes.count, variant)
        }
    }

    /// libsodium ends what it writes with a zero byte, which is not counted.
    private mutating func encode(length: Int, _ body: (UnsafeMutablePointer<CChar>, Int) -> Void) {
        reserve(length + 1)
        guard let base = storage.baseAddress else { return }
        body((base + count).assumingMemoryBound(to: CChar.self), length + 1)
        count += length
    }

    /// Lets `body` fill at least `room` spare bytes; it returns how many it wrote, as read(2) does.
    public mutating func appendFilling<E: Error>(
        room: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
    ) throws(E) -> Int {
        reserve(room)
        let written = try body(UnsafeMutableRawBufferPointer(rebasing: storage[count...]))
        count = min(count + max(written, 0), storage.count)
        return written
    }

    /// Wipes the first `length` bytes and moves the rest to the front.
    public mutating func removeFirst(_ length: Int) {
        guard length > 0, length <= count, let base = storage.baseAddress else { return }
        memmove(base, base + length, count - length)
        sodium_memzero(base + (count - length), length)
        count -= length
    }

    /// Wipes everything; the room stays.
    public mutating func removeAll() {
        sodium_memzero(storage.baseAddress, count)
        count = 0
    }

    /// Makes room for `more` bytes beyond `count`.
    private mutating func reserve(_ more: Int) {
        guard storage.count - count < more else { return }
        let larger = SecretText.map(max(count + more, storage.count * 2))
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<count]))
        SecretText.unmap(storage)
        storage = larger
    }

    private static func map(_ capacity: Int) -> UnsafeMutableRawBufferPointer {
        let pages = (max(capacity, 1) + LockedMemory.pageBytes - 1) / LockedMemory.pageBytes
        let length = pages * LockedMemory.pageBytes
        return UnsafeMutableRawBufferPointer(start: LockedMemory.map(byteCount: length), count: length)
    }

    private static func unmap(_ buffer: UnsafeMutableRawBufferPointer) {
        sodium_memzero(buffer.baseAddress, buffer.count)
        munmap(buffer.baseAddress, buffer.count)
    }
}
