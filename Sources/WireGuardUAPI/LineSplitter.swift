import Glibc
import WireGuardCrypto

/// Lines out of chunks of a stream, without copying those that lie inside one chunk.
///
/// Only the piece of a line that a chunk ends in is kept, in memory that is wiped: it may be part of a key.
struct LineSplitter: ~Copyable {
    enum Step {
        /// A line without its newline, valid until the next call and while its chunk lives.
        case line(UnsafeRawBufferPointer)
        /// The chunk is used up.
        case more
        case tooLong
    }

    private let maximumLineBytes: Int
    private var carry: SecretText
    private var carryWasServed = false

    init(maximumLineBytes: Int) {
        self.maximumLineBytes = maximumLineBytes
        carry = SecretText(capacity: maximumLineBytes)
    }

    /// Whether a line has begun in an earlier chunk.
    var isInsideLine: Bool { !carryWasServed && !carry.isEmpty }

    /// The next line of `chunk` from `position` on, which moves behind it.
    mutating func next(in chunk: UnsafeRawBufferPointer, from position: inout Int) -> Step {
        wipeServed()
        let rest = UnsafeRawBufferPointer(rebasing: chunk[position...])
        guard let length = rest.offset(of: UInt8(ascii: "\n")) else {
            guard carry.count + rest.count <= maximumLineBytes else { return .tooLong }
            carry.append(rest)
            position = chunk.count
            return .more
        }
        guard carry.count + length <= maximumLineBytes else { return .tooLong }
        position += length + 1
        let end = UnsafeRawBufferPointer(rebasing: rest[..<length])
        if carry.isEmpty { return .line(end) }
        carry.append(end)
        return .line(serveCarry())
    }

    /// The line that the stream ended in, if it did not end in a newline.
    mutating func last() -> UnsafeRawBufferPointer? {
        wipeServed()
        return carry.isEmpty ? nil : serveCarry()
    }

    /// The pages stay where they are until `carry` next changes, which is in `wipeServed`.
    private mutating func serveCarry() -> UnsafeRawBufferPointer {
        carryWasServed = true
        return carry.withBytes { $0 }
    }

    private mutating func wipeServed() {
        if carryWasServed {
            carry.removeAll()
            carryWasServed = false
        }
    }
}

extension UnsafeRawBufferPointer {
    /// memchr(3).
    func offset(of byte: UInt8) -> Int? {
        guard let base = baseAddress, let found = memchr(base, Int32(byte), count) else { return nil }
        return UnsafeRawPointer(found) - base
    }

    func equals(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && (count == 0 || baseAddress.map { memcmp($0, text.utf8Start, count) } == 0)
    }
}
