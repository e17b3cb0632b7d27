import LinuxSystem
import WireGuardCrypto

/// A peer's handshake in progress and what it needs for the next one. Control only.
///
/// Of the states of the kernel's noise.c only one lasts: an initiation of ours that waits for its response. The
/// others come and go within one call.
struct PeerHandshake: ~Copyable {
    /// An initiation of ours without an answer so far.
    struct Pending: ~Copyable {
        let state: NoiseSymmetricState
        let ephemeral: LockedKey

        init(state: consuming NoiseSymmetricState, ephemeral: consuming LockedKey) {
            self.state = state
            self.ephemeral = ephemeral
        }
    }

    var pending: Pending?
    /// Our index of the last handshake in progress; nil when the table has none.
    var localIndex: UInt32?
    /// DH(our static, theirs); zeros when that is no key to use (checklist N6).
    let staticStatic = LockedKey()
    var presharedKey: PresharedKey?
    /// When an initiation of theirs was last accepted (checklist T2); nil before.
    var lastConsumed: BootTime?
    var cookie = PeerCookie()

    /// An initiation of ours waits for its response.
    var isPending: Bool {
        switch pending {
        case .some: true
        case .none: false
        }
    }

    /// To try a response on (checklist N9); nil when none is expected.
    func copyOfPendingState() -> NoiseSymmetricState? {
        switch pending {
        case .some(let pending): pending.state.copy()
        case .none: nil
        }
    }

    func withPendingEphemeral(_ body: (borrowing LockedKey) -> Bool) -> Bool {
        switch pending {
        case .some(let pending): body(pending.ephemeral)
        case .none: false
        }
    }

    /// The preshared key, or the 32 zeros that stand for none (checklist N4).
    func withPresharedKey<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        if let presharedKey { return presharedKey.secret.withBytes(body) }
        var zeros = InlineArray<32, UInt8>(repeating: 0)
        return withUnsafeBytes(of: &zeros, body)
    }
}
