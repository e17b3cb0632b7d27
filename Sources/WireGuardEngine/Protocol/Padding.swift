/// How far a packet is padded before it is sealed (checklist D1; kernel `calculate_skb_padding`).
enum Padding {
    /// Zero bytes to put behind a packet of `byteCount`: up to the next multiple of 16, but never beyond the
    /// MTU; 0 for `mtu` means that none is known.
    @inline(__always)
    static func bytes(after byteCount: Int, mtu: Int) -> Int {
        let multiple = ProtocolLimits.paddingMultiple
        guard mtu > 0 else { return aligned(byteCount, multiple) &- byteCount }
        // A packet over the MTU is taken modulo it, as the kernel does: the result stays in range.
        let last = byteCount > mtu ? byteCount % mtu : byteCount
        return min(mtu, aligned(last, multiple)) &- last
    }

    @inline(__always)
    private static func aligned(_ value: Int, _ multiple: Int) -> Int { (value &+ multiple &- 1) & ~(multiple &- 1) }
}
