import LinuxSystem
import Synchronization
import WireGuardCrypto

typealias KeypairPointer = UnsafeMutablePointer<Keypair>

/// The keys of one session in both directions, with the send counter and the receive window. Made by control;
/// lives until both loops have let go of it, and its keys are wiped then.
struct Keypair: ~Copyable {
    let sendKey: LockedKey
    let receiveKey: LockedKey
    let peer: PeerPointer
    /// The index under which the other side sends to us, and the one it wants from us.
    let localIndex: UInt32
    let remoteIndex: UInt32
    /// On the clock that counts suspend (checklist R9).
    let birth: BootTime
    let isInitiator: Bool

    /// The next nonce; 64 bits on every machine (checklist S4).
    let sendCounter = Atomic<UInt64>(0)
    let maySend = Atomic<Bool>(true)
    let mayReceive = Atomic<Bool>(true)
    /// rx only.
    var window = ReplayWindow()

    init(
        sendKey: consuming LockedKey, receiveKey: consuming LockedKey, peer: PeerPointer, localIndex: UInt32,
        remoteIndex: UInt32, birth: BootTime, isInitiator: Bool
    ) {
        self.sendKey = sendKey
        self.receiveKey = receiveKey
        self.peer = peer
        self.localIndex = localIndex
        self.remoteIndex = remoteIndex
        self.birth = birth
        self.isInitiator = isInitiator
    }

    @inline(__always)
    func isOlder(than age: UInt64, at now: BootTime) -> Bool { now.since(birth) >= age }

    /// Neither direction may be used any more.
    func invalidate() {
        maySend.store(false, ordering: .releasing)
        mayReceive.store(false, ordering: .releasing)
    }
}
