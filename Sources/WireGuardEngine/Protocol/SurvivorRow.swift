import LinuxSystem
import Synchronization
import WireGuardCrypto

typealias SurvivorRowPointer = UnsafeMutablePointer<SurvivorRow>

/// What must outlive a worker about one peer, and nothing that is a key: endpoint, timestamps, counters.
///
/// The row lies in shared memory that the monitor keeps; the running worker uses it in place, so there is no
/// moment of export. A worker may be killed between any two stores, and the next one trusts nothing here: each
/// field is either one word or written in an order whose halves are harmless.
struct SurvivorRow: ~Copyable {
    static let free: UInt64 = 0
    static let used: UInt64 = 0x7773_5f72_6f77_0001

    let state = Atomic<UInt64>(SurvivorRow.free)
    /// Written before `state` becomes used, constant until it is free again.
    var publicKey: PublicKey

    let path = DatagramPathRecord()
    /// Whole messages including their 32 bytes of overhead, and handshakes (checklist D11).
    let receivedBytes = Atomic<UInt64>(0)
    let sentBytes = Atomic<UInt64>(0)
    let lastHandshakeSeconds = Atomic<UInt64>(0)
    let lastHandshakeNanoseconds = Atomic<UInt64>(0)
    /// A session existed when the worker died: the next one initiates at once.
    let hadSession = Atomic<UInt64>(0)

    private let acceptedLabel = Atomic<UInt64>(0)
    private let acceptedNanoseconds = Atomic<UInt64>(0)
    private let sentLabel = Atomic<UInt64>(0)
    private let sentNanoseconds = Atomic<UInt64>(0)

    init(publicKey: PublicKey) { self.publicKey = publicKey }

    /// The greatest TAI64N accepted from the peer (checklist T1).
    var acceptedTimestamp: TAI64N {
        get { SurvivorRow.timestamp(acceptedLabel, acceptedNanoseconds) }
        nonmutating set { SurvivorRow.raise(acceptedLabel, acceptedNanoseconds, to: newValue) }
    }

    /// The last TAI64N sent to the peer (checklist T3).
    var sentTimestamp: TAI64N {
        get { SurvivorRow.timestamp(sentLabel, sentNanoseconds) }
        nonmutating set { SurvivorRow.raise(sentLabel, sentNanoseconds, to: newValue) }
    }

    /// Nil before the first handshake.
    var lastHandshake: WallTime? {
        get {
            let seconds = lastHandshakeSeconds.load(ordering: .acquiring)
            if seconds == 0 { return nil }
            let nanoseconds = min(lastHandshakeNanoseconds.load(ordering: .relaxed), 999_999_999)
            return WallTime(seconds: Int64(bitPattern: seconds), nanoseconds: UInt32(nanoseconds))
        }
        nonmutating set {
            lastHandshakeNanoseconds.store(UInt64(newValue?.nanoseconds ?? 0), ordering: .relaxed)
            lastHandshakeSeconds.store(UInt64(bitPattern: newValue?.seconds ?? 0), ordering: .releasing)
        }
    }

    private static func timestamp(_ label: borrowing Atomic<UInt64>, _ nanoseconds: borrowing Atomic<UInt64>) -> TAI64N
    {
        TAI64N(
            label: label.load(ordering: .acquiring),
            nanoseconds: UInt32(truncatingIfNeeded: nanoseconds.load(ordering: .relaxed)))
    }

    /// In between the value is never below the old one: a crash costs at most the rest of a second, and never
    /// lets an old initiation in.
    private static func raise(
        _ label: borrowing Atomic<UInt64>, _ nanoseconds: borrowing Atomic<UInt64>, to timestamp: TAI64N
    ) {
        if label.load(ordering: .relaxed) != timestamp.label {
            nanoseconds.store(UInt64(UInt32.max), ordering: .releasing)
            Interleaving.point(.publish)
            label.store(timestamp.label, ordering: .releasing)
            Interleaving.point(.publish)
        }
        nanoseconds.store(UInt64(timestamp.nanoseconds), ordering: .releasing)
    }
}
