import Glibc
import LinuxSystem
import WireGuardCrypto

/// The engine's notes of the last TAI64N sent under each key, `STATE/tai64n/…` of twelve bytes.
///
/// They matter while they are ahead of the clock: then a peer refuses us without them. One that is behind it
/// says nothing that the clock does not say by itself.
enum TimestampFloorFiles {
    /// Removes the notes that are behind the clock; the caller knows that no engine runs.
    static func sweep(_ state: StateDirectory) {
        let directory = "\(state.path)/tai64n"
        guard let names = try? File.list(directory) else { return }
        let now = TAI64N(.now)
        for name in names {
            let path = "\(directory)/\(name)"
            guard let bytes = try? File.readBytes(path, limitBytes: 4096) else { continue }
            let isAhead = bytes.withUnsafeBytes { buffer in
                buffer.count >= TAI64N.byteCount && buffer.baseAddress.map { now < TAI64N(copying: $0) } ?? false
            }
            if !isAhead { _ = try? File.remove(path) }
        }
        rmdir(directory)
    }
}
