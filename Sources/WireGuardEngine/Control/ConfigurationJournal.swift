import CLinux
import Glibc
import LinuxSystem
import WireGuardCrypto

/// The accepted configuration, kept for the next worker: UAPI `set=1` requests one after the other in a memfd.
///
/// A request is appended before the client hears `errno=0`: text first, then its head with length and checksum,
/// so that a worker killed in between leaves no half request. When the journal has grown to several times
/// the size of the configuration, the whole is written once more as one request, the start is moved there in a
/// single store, and what lay before is wiped and punched out of the file. The monitor keeps the
/// descriptor and never reads it, but for adding the first request, which it does not understand either.
struct ConfigurationJournal: ~Copyable {
    private struct Head {
        var magic: UInt64
        var byteCount: UInt64
        var checksum: UInt64
    }

    private static let magic: UInt64 = 0x7773_675f_7365_7431
    /// The first page holds the start's offset.
    private static let firstOffset: Int = 4096
    /// No request that the parser accepts is longer.
    private static let limitBytes = 64 << 20
    /// Below this size a journal is not worth rewriting.
    private static let smallBytes = 64 << 10

    private let file: FileDescriptor
    private var start: Int
    private var end: Int
    private var snapshotBytes = 0

    static func create() throws(SystemError) -> FileDescriptor {
        let file = try MemoryFile.create(name: "swg-configuration")
        let number = file.rawValue
        try systemCall("ftruncate", "configuration") { ftruncate(number, firstOffset) }
        return file
    }

    /// The monitor's part: the request in `source`, unread, becomes the first of the journal in `target`.
    static func copyFirstRequest(
        from source: consuming FileDescriptor, to target: borrowing FileDescriptor
    ) throws(SystemError) {
        var journal = ConfigurationJournal(try target.duplicate())
        // Whoever wrote it may have left the offset at the end.
        let isFile = lseek(source.rawValue, 0, SEEK_SET) == 0
        var bytes = try source.readAll(limitBytes: limitBytes, object: "SWG_CONFIG_FD")
        defer { bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { explicit_bzero(base, $0.count) } } }
        // A socket or pipe is of somebody who tells it later, and who has ended when nothing came.
        if bytes.isEmpty, !isFile {
            throw SystemError(
                call: "read", object: "SWG_CONFIG_FD", errno: Errno(ENODATA), detail: "no configuration came")
        }
        var result: Result<Void, SystemError> = .success(())
        bytes.withUnsafeBytes { buffer in
            result = Result { () throws(SystemError) in try journal.append(buffer) }
        }
        try result.get()
    }

    init(_ file: consuming FileDescriptor) {
        let number = file.rawValue
        self.file = file
        var stored: UInt64 = 0
        let count = pread(number, &stored, 8, 0)
        start = count == 8 && stored >= UInt64(Self.firstOffset) && stored < 1 << 46 ? Int(stored) : Self.firstOffset
        end = start
    }

    /// Hands each whole request to `body` in order, and finds the end.
    mutating func replay(_ body: (UnsafeRawBufferPointer) -> Void) {
        end = start
        while let head = readHead(at: end) {
            var text = SecretText(capacity: Int(head.byteCount))
            let offset = end + MemoryLayout<Head>.size
            let wanted = Int(head.byteCount)
            let number = file.rawValue
            while text.count < wanted {
                let done = text.count
                let count = text.appendFilling(room: wanted - done) { room in
                    pread(number, room.baseAddress, wanted - done, off_t(offset + done))
                }
                if count <= 0 { break }
            }
            guard text.count == wanted, text.withBytes({ Self.checksum($0) }) == head.checksum else { break }
            text.withBytes(body)
            end = offset + wanted
        }
    }

    /// Adds one request; it is safe when this returns.
    mutating func append(_ request: UnsafeRawBufferPointer) throws(SystemError) {
        try write(request, at: end)
        end += MemoryLayout<Head>.size + request.count
    }

    /// Whether `rewrite` is due.
    var isOvergrown: Bool { end - start > max(Self.smallBytes, 4 * snapshotBytes) }

    /// Replaces everything by one request that has the same result.
    mutating func rewrite(_ snapshot: UnsafeRawBufferPointer) throws(SystemError) {
        let number = file.rawValue
        // On a page of its own, so that the old pages can go completely.
        let fresh = (end + 4095) & ~4095
        try write(snapshot, at: fresh)
        var stored = UInt64(fresh)
        try systemCall("pwrite", "configuration") { pwrite(number, &stored, 8, 0) }
        let old = start
        start = fresh
        end = fresh + MemoryLayout<Head>.size + snapshot.count
        snapshotBytes = end - start
        try wipe(old..<fresh)
        let mode = Int32(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
        try systemCall("fallocate", "configuration") { fallocate(number, mode, off_t(old), off_t(fresh - old)) }
    }

    /// Punching a hole gives pages back as they are.
    private func wipe(_ range: Range<Int>) throws(SystemError) {
        let number = file.rawValue
        let zeros = InlineArray<4096, UInt8>(repeating: 0)
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = min(zeros.count, range.upperBound - offset)
            offset += try systemCall("pwrite", "configuration") {
                withUnsafeBytes(of: zeros) { pwrite(number, $0.baseAddress, count, off_t(offset)) }
            }
        }
    }

    private func write(_ request: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        let number = file.rawValue
        let textOffset = offset + MemoryLayout<Head>.size
        var done = 0
        while done < request.count {
            done += try systemCall("pwrite", "configuration") {
                pwrite(number, request.baseAddress.map { $0 + done }, request.count - done, off_t(textOffset + done))
            }
        }
        var head = Head(magic: Self.magic, byteCount: UInt64(request.count), checksum: Self.checksum(request))
        try systemCall("pwrite", "configuration") { pwrite(number, &head, MemoryLayout<Head>.size, off_t(offset)) }
    }

    private func readHead(at offset: Int) -> Head? {
        var head = Head(magic: 0, byteCount: 0, checksum: 0)
        guard pread(file.rawValue, &head, MemoryLayout<Head>.size, off_t(offset)) == MemoryLayout<Head>.size,
            head.magic == Self.magic, head.byteCount <= UInt64(Self.limitBytes)
        else { return nil }
        return head
    }

    /// FNV-1a over eight bytes at a time: it finds what a kill left half done, it does not resist an attacker,
    /// who could write whole requests anyway.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        var offset = 0
        while bytes.count - offset >= 8 {
            hash = (hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x0000_0100_0000_01b3
            hash ^= hash &>> 29
            offset += 8
        }
        while offset < bytes.count {
            hash = (hash ^ UInt64(bytes[offset])) &* 0x0000_0100_0000_01b3
            offset += 1
        }
        return hash
    }
}
