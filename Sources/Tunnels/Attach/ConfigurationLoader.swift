import CLinux
import Glibc
import LinuxSystem
import WireGuardConfig
import WireGuardCrypto

/// Reads configurations: the file, then the files and commands that hold its keys. Every byte that may be a key
/// goes through locked memory that is wiped (promise P3).
enum ConfigurationLoader {
    static func load(_ source: ConfigurationSource, _ options: PlanOptions) throws(TunnelError) -> LoadedConfiguration {
        switch source {
        case .file(let path):
            let file = try KeyFile.read(path, options)
            return try load(file.bytes, label: path, path: path, mode: file.mode, options)
        case .text(let text, let name):
            return try load(text.bytes, label: name, path: nil, mode: 0, options)
        case .pool(let directory):
            throw TunnelError(.usage, "\(directory) is a pool, not a configuration")
        }
    }

    private static func load(
        _ text: UnsafeRawBufferPointer, label: String, path: String?, mode: mode_t, _ options: PlanOptions
    ) throws(TunnelError) -> LoadedConfiguration {
        var configuration: TunnelConfiguration
        var warnings: [String] = []
        var secretPaths = path.map { [$0] } ?? []
        do throws(ConfigurationErrors) {
            let parsed = try TunnelConfiguration.parse(text, file: label)
            configuration = parsed.configuration
            warnings = parsed.warnings.map(\.description)
        } catch {
            throw TunnelError(.configuration, error.description)
        }
        if let path,
            let warning = ConfigurationFileMode.warning(
                file: path, mode: UInt32(mode), holdsKeys: configuration.holdsKeys)
        {
            warnings.append(warning)
        }
        for reference in configuration.keyReferences {
            let directory = path.map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) } ?? "."
            try substitute(reference, directory, options, into: &configuration, &secretPaths)
        }
        guard let key = configuration.privateKey?.key else {
            throw TunnelError(
                .configuration, "\(label) has no PrivateKey",
                cure: "add one to [Interface]: swg-ns genkey prints a new one")
        }
        return LoadedConfiguration(
            configuration: configuration, privateKey: key, path: path, secretPaths: secretPaths, warnings: warnings)
    }

    private static func substitute(
        _ reference: KeyReference, _ directory: String, _ options: PlanOptions,
        into configuration: inout TunnelConfiguration, _ secretPaths: inout [String]
    ) throws(TunnelError) {
        let key: KeyFile
        switch reference.place {
        case .file(let path):
            let absolute = path.hasPrefix("/") ? path : "\(directory)/\(path)"
            key = try KeyFile.read(absolute, options, what: "\(reference.use.name)File=")
            secretPaths.append(absolute)
        case .command(let command):
            key = try KeyCommand.output(of: command, for: reference)
        }
        do throws(ConfigurationErrors) {
            try configuration.substitute(reference, text: key.bytes)
        } catch {
            throw TunnelError(.configuration, error.description)
        }
    }
}

/// Bytes that hold keys, in locked memory that is wiped with the object.
final class KeyFile: @unchecked Sendable {
    private let buffer: LockedBuffer
    private let count: Int
    /// Permission bits.
    let mode: mode_t

    private static let largestBytes = TunnelConfiguration.maximumFileBytes

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count]) }

    private init(_ buffer: consuming LockedBuffer, count: Int, mode: mode_t) {
        self.buffer = buffer
        self.count = count
        self.mode = mode
    }

    /// - Parameter what: what it is to its user.
    static func read(
        _ path: String, _ options: PlanOptions, what: String = "a configuration"
    ) throws(TunnelError) -> KeyFile {
        do throws(SystemError) {
            // Without O_NONBLOCK a FIFO would hang us.
            let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
            var status = stat()
            try systemCall("fstat", path) { fstat(file.rawValue, &status) }
            guard swg_s_isreg(status.st_mode) != 0 else {
                throw SystemError(call: "read", object: path, errno: Errno(EINVAL), detail: "it is not a regular file")
            }
            if options.refuseWritableFiles, let trouble = writableByOthers(status, path) { throw trouble }
            // The size is only a hint, and of a sparse file a wild one: `read` finds out what is too much.
            let capacity = min(max(status.st_size, 0), largestBytes) + 1
            return try read(from: file.rawValue, path, capacity: capacity, mode: status.st_mode & 0o7777)
        } catch {
            throw TunnelError(
                error, doing: "reading \(what)", kind: .configurationFile, cure: cure(error, path))
        }
    }

    private static func cure(_ error: SystemError, _ path: String) -> String? {
        // What has a detail says what to do already.
        guard error.detail == nil else { return nil }
        switch error.errno.rawValue {
        case ENOENT, ENOTDIR: return "there is no such file here; look at the path"
        case EACCES, EPERM: return "user \(geteuid()) may not read it: run swg-ns as its owner, or with sudo"
        default: return nil
        }
    }

    /// Whoever may write the file decides where a container's traffic goes, and with a key command what root runs.
    private static func writableByOthers(_ status: stat, _ path: String) -> SystemError? {
        let isOwned = status.st_uid == 0 || status.st_uid == geteuid()
        let groupWrites = status.st_mode & 0o020 != 0 && status.st_gid != 0
        guard !isOwned || groupWrites || status.st_mode & 0o002 != 0 else { return nil }
        return SystemError(
            call: "use", object: path, errno: Errno(EACCES),
            detail: isOwned
                ? "others than root may write it: chmod go-w \(path)"
                : "it belongs to user \(status.st_uid): chown root \(path)")
    }

    /// What a descriptor says until its end, once.
    ///
    /// - Parameters:
    ///   - capacity: bytes to begin with; more is made as it is needed.
    ///   - deadline: ETIMEDOUT when the end has not come by then.
    /// - Throws: EFBIG for more than a configuration may have.
    static func read(
        from number: Int32, _ label: String, capacity: Int = 64 << 10, mode: mode_t = 0, deadline: BootTime? = nil
    ) throws(SystemError) -> KeyFile {
        var buffer = LockedBuffer(byteCount: max(capacity, 1))
        var count = 0
        while true {
            if count == buffer.bytes.count {
                guard count <= largestBytes else {
                    throw SystemError(
                        call: "read", object: label, errno: Errno(EFBIG), detail: "more than \(largestBytes) bytes")
                }
                let larger = LockedBuffer(byteCount: min(count * 2, largestBytes + 1))
                larger.bytes.copyMemory(from: UnsafeRawBufferPointer(buffer.bytes))
                buffer = larger
            }
            if let deadline {
                let remaining = Int32(clamping: (deadline.since(BootTime.now) + 999_999) / 1_000_000)
                guard try waitReadable(number, milliseconds: remaining) else {
                    throw SystemError(call: "read", object: label, errno: Errno(ETIMEDOUT))
                }
            }
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[count...])
            let chunk = try systemCall("read", label) { Glibc.read(number, room.baseAddress, room.count) }
            if chunk == 0 { return KeyFile(buffer, count: count, mode: mode) }
            count += chunk
        }
    }
}
