import LinuxSystem
import WireGuardCrypto

/// A peer's handshake in progress and what it needs for the next one. Control only.
struct PeerHandshake: ~Copyable {
    enum State {
        case zeroed
        case createdInitiation
        case consumedInitiation
        case createdResponse
        case consumedResponse
    }

    let remoteStatic: PublicKey
    var state = State.zeroed
    /// Our index of the handshake in progress; nil when the table has none for it.
    var localIndex: UInt32?
    var remoteIndex: UInt32 = 0
    /// DH(our static, theirs); zeros when that is no key to use (checklist N6).
    let staticStatic = LockedKey()
    /// Zeros when there is none (checklist N4).
    let preshared = LockedKey()

    init(remoteStatic: PublicKey) { self.remoteStatic = remoteStatic }
}
