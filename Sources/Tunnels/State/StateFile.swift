import FoundationEssentials
import Glibc
import LinuxSystem

/// A JSON file of the state directory. Every one carries a format number: a file of a newer format is read as
/// far as it is understood, and never rewritten.
enum StateFile {
    /// The format that this program writes.
    static let format = 1

    /// Sorted keys, no escaped slashes: the same state is the same bytes.
    static func encode(_ value: some Encodable) throws(TunnelError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        do {
            return Array(try encoder.encode(value)) + [0x0a]
        } catch {
            throw TunnelError(.state, "cannot write state as JSON: \(error)")
        }
    }

    static func write(_ value: some Encodable, to path: String) throws(TunnelError) {
        let bytes = try encode(value)
        do throws(SystemError) {
            try File.replace(path, with: bytes)
        } catch {
            throw unusable(error)
        }
    }

    /// Nil when there is no such file.
    static func read<Value: Decodable>(_ type: Value.Type, from path: String) throws(TunnelError) -> Value? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.readBytes(path, limitBytes: 4 << 20)
        } catch {
            if error.errno.rawValue == ENOENT || error.errno.rawValue == ENOTDIR { return nil }
            throw unusable(error)
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw TunnelError(
                .state, "\(path) is damaged: \(error)",
                cure: "remove the tunnel with swg-ns detach, or the file by hand")
        }
    }

    static func unusable(_ error: SystemError) -> TunnelError {
        let cure: String? =
            switch error.errno.rawValue {
            case ENOSPC, EDQUOT: "make room on that file system"
            case EROFS: "make it writable, or name another with --state-dir"
            case EACCES, EPERM: "run it as root, or name a state directory of yours with --state-dir"
            default: nil
            }
        return TunnelError(.state, "the state directory is unusable: \(error)", cure: cure)
    }
}
