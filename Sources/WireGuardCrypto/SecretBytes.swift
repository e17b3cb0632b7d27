import CSodium

/// Thirty-two secret bytes in one locked slot, wiped when the last owner lets go.
///
/// A reference, so that handing a key on never copies its bytes. It has no description that shows them.
public final class SecretBytes: @unchecked Sendable {
    let slot: UnsafeMutableRawPointer

    /// Zeroed, then filled by `body` in place.
    public init<E: Error>(filling body: (UnsafeMutableRawBufferPointer) throws(E) -> Void) throws(E) {
        slot = KeySlab.shared.take()
        try body(UnsafeMutableRawBufferPointer(start: slot, count: KeySlab.slotBytes))
    }

    deinit { KeySlab.shared.giveBack(slot) }

    public func withBytes<Result, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> Result
    ) throws(E) -> Result {
        try body(UnsafeRawBufferPointer(start: slot, count: KeySlab.slotBytes))
    }

    /// Constant time.
    public var isZero: Bool { sodium_is_zero(slot.assumingMemoryBound(to: UInt8.self), KeySlab.slotBytes) == 1 }
}

extension SecretBytes: Equatable {
    /// Constant time (checklist N11).
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        sodium_memcmp(left.slot, right.slot, KeySlab.slotBytes) == 0
    }
}

extension SecretBytes: CustomStringConvertible, CustomReflectable {
    public var description: String { "(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
