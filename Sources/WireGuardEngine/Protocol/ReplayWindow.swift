/// The sliding window over received counters (checklist S6; RFC 6479; kernel `counter_validate`).
///
/// 8192 bits as a ring of 64-bit words, of which 8128 are usable: the word the window moves into is cleared as
/// a whole. Owned by rx; asked only after the tag of the packet verified.
struct ReplayWindow: ~Copyable {
    /// COUNTER_WINDOW_SIZE.
    static let usableBits = 8128
    private static let words = 128

    /// One more than the greatest counter seen, so that zero means none.
    private(set) var greatest: UInt64 = 0
    private var ring = InlineArray<128, UInt64>(repeating: 0)

    /// Whether the counter is new; it is not any more afterwards.
    mutating func admit(_ counter: UInt64) -> Bool {
        guard greatest <= ProtocolLimits.rejectAfterMessages, counter < ProtocolLimits.rejectAfterMessages else {
            return false
        }
        // No overflow: both are below the limit, which leaves room for the window and one.
        let position = counter &+ 1
        if position &+ UInt64(ReplayWindow.usableBits) < greatest { return false }
        let word = position &>> 6
        if position > greatest {
            let current = greatest &>> 6
            var skipped = min(word &- current, UInt64(ReplayWindow.words))
            while skipped > 0 {
                ring[Int((current &+ skipped) & UInt64(ReplayWindow.words - 1))] = 0
                skipped &-= 1
            }
            greatest = position
        }
        let slot = Int(word & UInt64(ReplayWindow.words - 1))
        let bit: UInt64 = 1 &<< (position & 63)
        if ring[slot] & bit != 0 { return false }
        ring[slot] |= bit
        return true
    }
}
