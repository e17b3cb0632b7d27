import IPAddressing

/// An address of either family as the trie compares it: 128 bits from the front, an IPv4 address in the first
/// 32 of them. The two families have tries of their own, so that they never meet.
struct AllowedIPsKey: Equatable {
    var high: UInt64
    var low: UInt64

    /// An IPv4 address in host byte order.
    @inline(__always)
    init(ipv4: UInt32) {
        high = UInt64(ipv4) &<< 32
        low = 0
    }

    @inline(__always)
    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(_ address: IPAddress) {
        switch address {
        case .v4(let value): self.init(ipv4: value.rawValue)
        case .v6(let value): self.init(high: value.high, low: value.low)
        }
    }

    /// 0 or 1: the bit behind a prefix of `length` bits, which is below 128.
    @inline(__always)
    func bit(after length: UInt8) -> Int {
        length < 64
            ? Int(truncatingIfNeeded: high &>> (63 &- UInt64(length))) & 1
            : Int(truncatingIfNeeded: low &>> (127 &- UInt64(length))) & 1
    }

    /// How many leading bits are equal, 0…128.
    @inline(__always)
    func commonBits(_ other: AllowedIPsKey) -> Int {
        let difference = high ^ other.high
        return difference != 0 ? difference.leadingZeroBitCount : 64 &+ (low ^ other.low).leadingZeroBitCount
    }

    /// The first `length` bits, the rest zero.
    func masked(_ length: UInt8) -> AllowedIPsKey {
        let head = min(length, 64)
        let tail = length - head
        return AllowedIPsKey(
            high: head == 0 ? 0 : high & (UInt64.max &<< UInt64(64 - head)),
            low: tail == 0 ? 0 : low & (UInt64.max &<< UInt64(64 - tail)))
    }
}
