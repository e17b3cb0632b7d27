import CLinux
import Glibc
import LinuxSystem
import WireGuardConfig
import WireGuardCrypto

/// Reads configurations: the file, then the files and commands that hold its keys. Every byte that may be a key
/// goes through locked memory that is wiped (promise P3).
enum ConfigurationLoader {
    static func load(_ source: ConfigurationSource, _ options: PlanOptions) throws(TunnelError) -> LoadedConfiguration {
        var unfinished = try read(source, options)
        return try unfinished.finish()
    }

    /// All but what the file's commands print.
    static func read(
        _ source: ConfigurationSource, _ options: PlanOptions
    ) throws(TunnelError) -> UnfinishedConfiguration {
        switch source {
        case .file(let path):
            let file = try KeyFile.read(path, options)
            return try read(file.bytes, label: path, path: path, mode: file.mode, options)
        case .text(let text, let name):
            return try read(text.bytes, label: name, path: nil, mode: 0, options)
        case .pool(let directory):
            throw TunnelError(.usage, "\(directory) is a pool, not a configuration")
        }
    }

    private static func read(
        _ text: UnsafeRawBufferPointer, label: String, path: String?, mode: mode_t, _ options: PlanOptions
    ) throws(TunnelError) -> UnfinishedConfiguration {
        var unfinished: UnfinishedConfiguration
        do throws(ConfigurationErrors) {
            let parsed = try TunnelConfiguration.parse(text, file: label)
            unfinished = UnfinishedConfiguration(
                configuration: parsed.configuration, label: label, path: path, secretPaths: path.map { [$0] } ?? [],
                warnings: parsed.warnings.map(\.description))
        } catch {
            throw TunnelError(.configuration, error.description)
        }
        if let path,
            let warning = ConfigurationFileMode.warning(
                file: path, mode: UInt32(mode), holdsKeys: unfinished.configuration.holdsKeys)
        {
            unfinished.warnings.append(warning)
        }
        let directory = path.map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) } ?? "."
        for reference in unfinished.configuration.keyReferences {
            switch reference.place {
            case .command(let command): unfinished.commands.append((reference, command))
            case .file(let path):
                let absolute = path.hasPrefix("/") ? path : "\(directory)/\(path)"
                let key = try KeyFile.read(absolute, options, what: "\(reference.use.name)File=")
                unfinished.secretPaths.append(absolute)
                try unfinished.configuration.take(reference, key)
            }
        }
        return unfinished
    }
}

/// A configuration whose commands did not run yet. They may ask a password manager or a person: each is run when its
/// key is needed, and not to look whether it will be.
struct UnfinishedConfiguration {
    var configuration: TunnelConfiguration
    var label: String
    var path: String?
    var secretPaths: [String]
    var warnings: [String]
    var commands: [(reference: KeyReference, command: String)] = []

    /// Nil when only a command knows it, or when there is none.
    var publicKey: PublicKey? { configuration.privateKey?.key?.publicKey }

    /// Runs what is left to run.
    mutating func finish() throws(TunnelError) -> LoadedConfiguration {
        for (reference, command) in commands {
            try configuration.take(reference, try KeyCommand.output(of: command, for: reference))
        }
        commands = []
        guard let key = configuration.privateKey?.key else {
            throw TunnelError(
                .configuration, "\(label) has no PrivateKey",
                cure: "add one to [Interface]: swg-ns genkey prints a new one")
        }
        return LoadedConfiguration(
            configuration: configuration, privateKey: key, path: path, secretPaths: secretPaths, warnings: warnings)
    }
}

extension TunnelConfiguration {
    fileprivate mutating func take(_ reference: KeyReference, _ key: KeyFile) throws(TunnelError) {
        do throws(ConfigurationErrors) {
            try substitute(reference, text: key.bytes)
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
    /// A folder with such files the same: others could put some there.
    static func writableByOthers(_ status: stat, _ path: String) -> SystemError? {
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
