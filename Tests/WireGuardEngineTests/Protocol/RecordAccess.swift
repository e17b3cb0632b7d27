import Synchronization

@testable import WireGuardEngine

// Shorter words for what tests ask of the records: atomics cannot stand in an expectation.

extension UnsafeMutablePointer where Pointee == Peer {
    var current: KeypairPointer? { pointee.keypairs.current.load(ordering: .relaxed) }
    var previous: KeypairPointer? { pointee.keypairs.previous.load(ordering: .relaxed) }
    var next: KeypairPointer? { pointee.keypairs.next.load(ordering: .relaxed) }
    var stagedCount: Int { pointee.staged.count }
    var isHandshakePending: Bool { pointee.handshake.isPending }
    var attempts: UInt32 { pointee.timers.handshakeAttempts.load(ordering: .relaxed) }
    var needsAnotherKeepalive: Bool { pointee.timers.needAnotherKeepalive.load(ordering: .relaxed) }

    enum Timer { case retransmitHandshake, sendKeepalive, newHandshake, zeroKeys, persistentKeepalive }

    /// 0 when not pending.
    func deadline(_ timer: Timer) -> UInt64 {
        switch timer {
        case .retransmitHandshake: pointee.timers.retransmitHandshake.load(ordering: .relaxed)
        case .sendKeepalive: pointee.timers.sendKeepalive.load(ordering: .relaxed)
        case .newHandshake: pointee.timers.newHandshake.load(ordering: .relaxed)
        case .zeroKeys: pointee.timers.zeroKeys.load(ordering: .relaxed)
        case .persistentKeepalive: pointee.timers.persistentKeepalive.load(ordering: .relaxed)
        }
    }

    func isPending(_ timer: Timer) -> Bool { deadline(timer) != 0 }
}

extension UnsafeMutablePointer where Pointee == Keypair {
    var maySend: Bool { pointee.maySend.load(ordering: .relaxed) }
    var mayReceive: Bool { pointee.mayReceive.load(ordering: .relaxed) }
    var counter: UInt64 {
        get { pointee.sendCounter.load(ordering: .relaxed) }
        nonmutating set { pointee.sendCounter.store(newValue, ordering: .relaxed) }
    }
}
