import CSodium
import CTrainCipher
import Glibc
import LinuxSystem

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
        scratch = LockedMemory.map(byteCount: CipherScratch.byteCount)
    }

    deinit {
        sodium_memzero(scratch, CipherScratch.byteCount)
        munmap(scratch, CipherScratch.byteCount)
    }

    /// Encrypts each text in place and writes its tag behind it. `key` is 32 bytes. The caller has reserved the
    /// counters: none was or will be used again with this key.
    public mutating func seal(_ packets: UnsafeMutablePointer<CipherPacket>, count: Int, key: UnsafeRawPointer) {
        chosen(packets, count).seal(packets, count, key, scratch)
    }

    /// Opens in place. `admit` gets the index of an authentic packet and says whether to decrypt it; its side
    /// effects happen in the order of the packets. Afterwards `isOpened` tells plaintext from ciphertext.
    @inlinable public mutating func open(
        _ packets: UnsafeMutablePointer<CipherPacket>, count: Int, key: UnsafeRawPointer, admit: (_ index: Int) -> Bool
    ) {
        let implementation = chosen(packets, count)
        var first = 0
        while first < count {
            let group = implementation.verify(packets + first, count - first, key, scratch)
            for index in first..<(first + group) {
                packets[index].isOpened = packets[index].isAuthentic && admit(index)
            }
            implementation.decrypt(packets + first, group, key, scratch)
            first += group
        }
    }

    /// libsodium is faster for one thing, a keepalive alone in its train (220 ns against 245 in 512-bit and 290 in
    /// 256-bit vectors), where most lanes are empty. From 16 bytes or two packets on it never is.
    @usableFromInline func chosen(_ packets: UnsafePointer<CipherPacket>, _ count: Int) -> CipherImplementation {
        count == 1 && packets.pointee.length == 0 ? .composed : implementation
    }
}
