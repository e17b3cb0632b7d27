import CSodium
import CTrainCipher
import Glibc

/// ChaCha20-Poly1305 for trains of data packets: one key, a counter each, no additional data (checklist N5).
///
/// Theory of operation. The transmit and the receive thread own one each (`var cipher = TrainCipher()`), made
/// before the system-call filter is on: the first one made in a process also runs the self-test that chooses the
/// implementation. It holds the scratch memory for the keystream, so sealing and opening allocate nothing, need no
/// room around a packet but its tag, and never touch what they do not own. A long train is worked through in groups whose
/// keystream fits the first-level cache. The keystream is wiped at the end of each call.
///
/// Opening a group has three steps: all its tags are verified, in constant time each; the caller's `admit`, which
/// is the replay window, is asked for each authentic packet in the order of arrival; and only what it admitted is
/// decrypted (checklist D20).
public struct TrainCipher: ~Copyable {
    public static let tagByteCount = 16

    public let implementation: CipherImplementation
    @usableFromInline let scratch: UnsafeMutableRawPointer

    /// The fastest implementation that passed the self-test; tests and benchmarks name one, which must be in
    /// `CipherImplementation.available`.
    public init(_ implementation: CipherImplementation = .fastest) {
        precondition(CipherScratch.byteCount >= Int(SWG_TRAIN_SCRATCH_BYTES))
        self.implementation = implementation
        scratch = LockedMemory.map(byteCount: CipherScratch.byteCount).start
    }

    deinit {
        sodium_memzero(scratch, CipherScratch.byteCount)
        munmap(scratch, CipherScratch.byteCount)
    }

    /// Encrypts each text in place and writes its tag behind it. `key` is 32 bytes. The caller has reserved the
    /// counters: none was or will be used again with this key.
    public mutating func seal(_ packets: UnsafeMutablePointer<CipherPacket>, count: Int, key: UnsafeRawPointer) {
        implementation.seal(packets, count, key, scratch)
    }

    /// Opens in place. `admit` gets the index of an authentic packet and says whether to decrypt it; its side
    /// effects happen in the order of the packets. Afterwards `isOpened` tells plaintext from ciphertext.
    @inlinable public mutating func open(
        _ packets: UnsafeMutablePointer<CipherPacket>, count: Int, key: UnsafeRawPointer, admit: (_ index: Int) -> Bool
    ) {
        var first = 0
        while first < count {
            let group = verifyGroup(packets + first, count - first, key)
            for index in first..<(first + group) {
                packets[index].isOpened = packets[index].isAuthentic && admit(index)
            }
            decryptGroup(packets + first, group, key)
            first += group
        }
    }

    /// Sets `isAuthentic` of the first packets, at least one, and says of how many; their keystream is in the scratch.
    @usableFromInline mutating func verifyGroup(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer
    ) -> Int {
        implementation.verify(packets, count, key, scratch)
    }

    /// Decrypts those of a verified group that have `isOpened` and wipes the keystream.
    @usableFromInline mutating func decryptGroup(
        _ packets: UnsafeMutablePointer<CipherPacket>, _ count: Int, _ key: UnsafeRawPointer
    ) {
        implementation.decrypt(packets, count, key, scratch)
    }
}
