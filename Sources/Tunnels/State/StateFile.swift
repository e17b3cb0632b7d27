import Glibc
import JSON
import LinuxSystem

/// What a file of the state directory holds, with the number of its format as it was read.
protocol StateDocument: Codable {
    var format: Int { get }
}

/// A JSON file of the state directory. A file of a newer format is read as far as it is understood, and never
/// rewritten: what this program does not know of it would be lost, such as what only a newer one can undo.
enum StateFile {
    /// The format that this program writes.
    static let format = 1

    static func encode(_ value: some Encodable) throws(TunnelError) -> [UInt8] {
        do {
            return Array((try JSONValue(encoding: value).indented + "\n").utf8)
        } catch {
            throw TunnelError(.state, "cannot write state as JSON: \(error)")
        }
    }

    /// - Throws: `.state` when the value was read from a file of a newer format.
    static func write(_ value: some StateDocument, to path: String) throws(TunnelError) {
        try refuseNewer(value, at: path)
        let bytes = try encode(value)
        do throws(SystemError) {
            try File.replace(path, with: bytes)
        } catch {
            throw unusable(error)
        }
    }

    static func isNewer(_ value: some StateDocument) -> Bool { value.format > format }

    static func refuseNewer(_ value: some StateDocument, at path: String) throws(TunnelError) {
        guard isNewer(value) else { return }
        throw TunnelError(
            .state,
            "\(path) was written by a newer swg-ns (format \(value.format), known here are those up to \(format))",
            cure: "use that version, or take the tunnel down first: detach of any version can")
    }

    /// Nil when there is no such file.
    static func read<Value: StateDocument>(_ type: Value.Type, from path: String) throws(TunnelError) -> Value? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.readBytes(path, limitBytes: 4 << 20)
        } catch {
            if error.errno.rawValue == ENOENT || error.errno.rawValue == ENOTDIR { return nil }
            throw unusable(error)
        }
        let trouble: String
        do {
            return try JSONValue.parse(bytes).decoded(as: type)
        } catch let error as JSONTextError {
            trouble = error.reason
        } catch {
            trouble = "\(error)"
        }
        throw TunnelError(
            .state, "\(path) is damaged: \(trouble)",
            cure: "remove the tunnel with swg-ns detach, or the file by hand")
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
