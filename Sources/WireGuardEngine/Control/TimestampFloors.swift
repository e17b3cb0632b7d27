import CLinux
import Glibc
import LinuxSystem
import WireGuardCrypto

/// The greatest TAI64N ever sent under each private key (T3), kept across engines and backends: a clock that was
/// set back would otherwise make every peer refuse us until it has caught up.
///
/// A file per key in the state directory; where that cannot be written the floor lasts as long as the monitor. The
/// monitor writes it when a worker says that it sent an initiation, and reads it when one says that it has a key. A
/// worker that was taken over could name keys without end: only so many files are made. It cannot name the key of
/// another tunnel, whose peers would then hear that one no more: a file's name is derived from the private half.
struct TimestampFloors: ~Copyable {
    private static let byteCount = 12
    /// Keys that one engine will ever have, and then some.
    private static let newFileLimit = 1000

    /// Its descriptor, -1 without.
    private let directory: Int32
    private var last = TAI64N.zero
    private var lastName = ""
    private var newFiles = 0

    /// `$SWG_STATE_DIR/tai64n`, or `/run/swg-ns/tai64n`.
    init(stateDirectory: String?) {
        let path = "\(stateDirectory ?? "/run/swg-ns")/tai64n"
        _ = try? File.makeDirectories(path)
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    deinit { if directory >= 0 { close(directory) } }

    /// The worker has sent a timestamp.
    mutating func raise(_ record: MonitorRecord) {
        let timestamp = TAI64N(label: record.first, nanoseconds: UInt32(truncatingIfNeeded: record.second))
        let name = Self.name(record)
        guard name != lastName || timestamp > last else { return }
        last = max(timestamp, name == lastName ? last : stored(name))
        lastName = name
        var bytes = InlineArray<12, UInt8>(repeating: 0)
        let value = last
        withUnsafeMutableBytes(of: &bytes) { room in if let base = room.baseAddress { value.write(to: base) } }
        guard directory >= 0 else { return }
        var number = openat(directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        if number < 0, errno == ENOENT, newFiles < Self.newFileLimit {
            newFiles += 1
            number = openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        guard number >= 0 else { return }
        // Twelve bytes in one page are replaced at once for any reader.
        _ = pwrite(number, &bytes, Self.byteCount, 0)
        close(number)
    }

    /// The answer to a worker that has a key.
    mutating func floor(for record: MonitorRecord) -> MonitorRecord {
        let name = Self.name(record)
        let floor = name == lastName ? max(last, stored(name)) : stored(name)
        return MonitorRecord(.timestampFloor, first: floor.label, second: UInt64(floor.nanoseconds))
    }

    private func stored(_ name: String) -> TAI64N {
        guard directory >= 0 else { return .zero }
        let number = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0 else { return .zero }
        defer { close(number) }
        var bytes = InlineArray<12, UInt8>(repeating: 0)
        guard pread(number, &bytes, Self.byteCount, 0) == Self.byteCount else { return .zero }
        return withUnsafeBytes(of: &bytes) { room in room.baseAddress.map { TAI64N(copying: $0) } ?? .zero }
    }

    private static func name(_ record: MonitorRecord) -> String {
        var text = ""
        for index in record.hash.indices {
            let digits = String(record.hash[index], radix: 16)
            text += String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }
        return text
    }
}

extension PrivateKey {
    /// What this key's timestamps are kept under: nobody can tell it without the key, nor the key by it.
    var floorName: InlineArray<4, UInt64> {
        var name = InlineArray<4, UInt64>(repeating: 0)
        secret.withBytes { key in
            withUnsafeMutableBytes(of: &name) { room in
                guard let base = room.baseAddress else { return }
                HMAC.authenticate(
                    key: key, UnsafeRawBufferPointer(start: floorLabel.utf8Start, count: floorLabel.utf8CodeUnitCount),
                    into: base)
            }
        }
        return name
    }
}

private let floorLabel: StaticString = "swg-ns tai64n floor"
