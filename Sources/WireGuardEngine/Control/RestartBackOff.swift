/// How long the monitor waits before it starts another worker: not at all, until ten have died without an
/// authenticated packet in between; then from one second to sixty.
struct RestartBackOff {
    private static let patience = 10
    private static let longestSeconds: UInt64 = 60

    private(set) var count = 0
    private var authenticatedBefore: UInt64 = 0

    /// A worker died when so many packets had been authenticated since the beginning.
    mutating func count(authenticated: UInt64) {
        count = authenticated == authenticatedBefore ? count + 1 : 1
        authenticatedBefore = authenticated
    }

    /// Nil: at once.
    var waitNanoseconds: UInt64? {
        guard count > RestartBackOff.patience else { return nil }
        let doublings = min(count - RestartBackOff.patience - 1, 6)
        return min(1 << UInt64(doublings), RestartBackOff.longestSeconds) * 1_000_000_000
    }
}
