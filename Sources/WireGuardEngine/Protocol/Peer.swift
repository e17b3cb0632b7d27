import LinuxSystem
import Synchronization
import WireGuardCrypto

typealias PeerPointer = UnsafeMutablePointer<Peer>

/// One peer as all three threads see it. It lies in manual memory and lives until control has removed it and
/// both loops have let go of it (`Reclaimer`).
///
/// Who may touch what: constants and atomics anybody; `staged` tx; the node lists and `handshake` control; the
/// path and the keypair slots are written under `lock` and read without.
struct Peer: ~Copyable {
    let publicKey: PublicKey
    /// Shared memory that outlives the worker: path, counters, timestamps.
    let row: SurvivorRowPointer
    let lock = PeerLock()
    let keypairs = KeypairSlots()
    let timers = PeerTimers()
    /// Control has removed the peer: nothing is sent, received or armed for it any more.
    let isRemoved = Atomic<Bool>(false)
    /// In the inbox of control, and of tx.
    let controlMail: UnsafeMutablePointer<PeerMail>
    let transmitMail: UnsafeMutablePointer<PeerMail>

    /// tx only.
    var staged = StagedPackets()

    /// Control only: the allowed IPs of this peer, a list per family.
    var firstIPv4Node: AllowedIPsNodePointer?
    var lastIPv4Node: AllowedIPsNodePointer?
    var firstIPv6Node: AllowedIPsNodePointer?
    var lastIPv6Node: AllowedIPsNodePointer?
    /// Control only.
    var handshake: PeerHandshake
    /// Control only: place in the timer heap, -1 for none.
    var heapIndex = -1

    private init(publicKey: PublicKey, row: SurvivorRowPointer, pointer: PeerPointer) {
        self.publicKey = publicKey
        self.row = row
        handshake = PeerHandshake()
        controlMail = .allocate(capacity: 1)
        controlMail.initialize(to: PeerMail(peer: pointer))
        transmitMail = .allocate(capacity: 1)
        transmitMail.initialize(to: PeerMail(peer: pointer))
    }

    deinit {
        controlMail.deinitialize(count: 1)
        controlMail.deallocate()
        transmitMail.deinitialize(count: 1)
        transmitMail.deallocate()
    }

    static func make(publicKey: PublicKey, row: SurvivorRowPointer) -> PeerPointer {
        let pointer = PeerPointer.allocate(capacity: 1)
        pointer.initialize(to: Peer(publicKey: publicKey, row: row, pointer: pointer))
        return pointer
    }

    static func free(_ pointer: PeerPointer) {
        pointer.deinitialize(count: 1)
        pointer.deallocate()
    }
}

// MARK: - The path

extension Peer {
    /// Any thread: where to send; nil when no endpoint is known.
    @inline(__always)
    var path: DatagramPath? {
        switch row.pointee.path.load() {
        case .path(let path): return path
        case .none: return nil
        case .busy: return lock.withLock { if case .path(let path) = row.pointee.path.load() { path } else { nil } }
        }
    }

    /// rx and control: an authenticated packet came over `path` (checklist D8, D9).
    @inline(__always)
    func roam(to path: DatagramPath) {
        if case .path(let known) = row.pointee.path.load(), known == path { return }
        setPath(path)
    }

    func setPath(_ path: DatagramPath?) { lock.withLock { row.pointee.path.store(path) } }

    /// Routing decides from where to send next: a cached source may be the cause of trouble (checklist D8).
    func clearSource() {
        lock.withLock {
            guard case .path(var path) = row.pointee.path.load(), path.hasSource else { return }
            path.clearSource()
            row.pointee.path.store(path)
        }
    }
}
