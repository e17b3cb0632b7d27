/// A handshake message or cookie reply that control wants sent.
struct OutgoingHandshake {
    /// DSCP AF41 for initiations and responses (HANDSHAKE_DSCP), 0 for cookie replies (checklist D5).
    enum TrafficClass: UInt8 {
        case handshake = 0x88
        case cookieReply = 0
    }

    /// Whose message it is; nil for a cookie reply, which goes to a stranger. Good until the next call of `Device`.
    let peer: PeerPointer?
    var path: DatagramPath
    let trafficClass: TrafficClass
    let byteCount: Int
    private var storage = InlineArray<148, UInt8>(repeating: 0)

    /// `fill` writes `byteCount` bytes, at most 148; false from it makes nil.
    init?(
        peer: PeerPointer?, path: DatagramPath, trafficClass: TrafficClass, byteCount: Int,
        fill: (UnsafeMutableRawBufferPointer) -> Bool
    ) {
        self.peer = peer
        self.path = path
        self.trafficClass = trafficClass
        self.byteCount = byteCount
        let good = withUnsafeMutableBytes(of: &storage) {
            fill(UnsafeMutableRawBufferPointer(rebasing: $0[..<byteCount]))
        }
        if !good { return nil }
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        var copy = storage
        return withUnsafeBytes(of: &copy) { body($0.part(0, byteCount)) }
    }
}
