/// One 32-byte secret that a single owner reads by its address: session keys, chaining keys, precomputed
/// Diffie-Hellman results.
///
/// `SecretBytes` is the shared reference for configuration; this one is for records in manual memory, where a
/// reference count per packet would be felt. The slot is locked, and wiped when the owner goes (checklist N12).
public struct LockedKey: ~Copyable, @unchecked Sendable {
    public static let byteCount = KeySlab.slotBytes

    /// Thirty-two bytes, valid as long as this value.
    public let pointer: UnsafeMutableRawPointer

    /// All zeros.
    public init() { pointer = KeySlab.shared.take() }

    /// A copy of the 32 bytes at `source`.
    public init(copying source: UnsafeRawPointer) {
        pointer = KeySlab.shared.take()
        pointer.copyMemory(from: source, byteCount: LockedKey.byteCount)
    }

    deinit { KeySlab.shared.giveBack(pointer) }

    public var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: pointer, count: LockedKey.byteCount) }

    /// Overwrites the secret and keeps the slot.
    public func wipe() { KeySlab.wipe(pointer) }

    public func replace(with source: UnsafeRawPointer) {
        pointer.copyMemory(from: source, byteCount: LockedKey.byteCount)
    }
}
