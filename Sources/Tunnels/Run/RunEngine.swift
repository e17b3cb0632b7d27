import Glibc
import LinuxSystem

/// The engine of a `run`: in the caller's namespaces, as the caller, ending with `swg-ns` by the pipe of life.
final class RunEngine {
    let socketPath: String
    let identity: ProcessIdentity?
    private let started: StartedEngine
    /// Held open as long as the engine shall live.
    private let life: FileDescriptor
    /// What it writes to standard error, in memory: there is no place on disk for a tunnel of a minute.
    private let messages: FileDescriptor

    private init(socketPath: String, started: consuming StartedEngine, parts: consuming Parts) {
        self.socketPath = socketPath
        identity = try? ProcessIdentity.of(started.child.pid)
        self.started = started
        // The configuration holds keys, and our copy of the pipe's reading end would keep nothing alive.
        let kept = parts.running()
        life = FileDescriptor(owning: kept.life)
        messages = FileDescriptor(owning: kept.messages)
    }

    /// Starts it with the TUN that the child handed over. Not ready yet.
    static func start(
        id: TunnelID, program: String, plan: TunnelPlan, state: StateDirectory, tun: consuming FileDescriptor,
        _ journal: inout JournalWriter
    ) throws(TunnelError) -> RunEngine {
        let socketPath = UAPISocket.path(for: id, state: state)
        let directory = String(socketPath[..<(socketPath.lastIndex(of: "/") ?? socketPath.startIndex)])
        try journal.willDo(
            (File.exists(directory) ? [] : [.removeDirectory(directory)]) + [
                .removeSocket(socketPath),
                .endProcess(identityPath: state.engineIdentity(of: id), bootID: journal.journal.bootID),
            ])
        let listener = try UAPISocket.listen(at: socketPath)
        let parts: Parts
        do throws(SystemError) {
            parts = try Parts.open(plan, identityPath: state.engineIdentity(of: id))
        } catch {
            throw TunnelError(error, doing: "starting the engine")
        }
        let started = try EngineStart(
            program: program, id: id, tun: tun.rawValue, uapi: listener.rawValue,
            configuration: parts.configuration.rawValue, stateDirectory: state.path, life: parts.life.readEnd.rawValue,
            identityFile: parts.identityFile.rawValue, standardError: parts.messages.rawValue,
            // It tells why there is no handshake (`CommandHandshake.diagnosis`) only when it may talk.
            logLevel: "verbose",
            // Away from the terminal's signals: the engine has to outlive a Ctrl-C that the command survives.
            ownSession: true
        ).start()
        return RunEngine(socketPath: socketPath, started: started, parts: parts)
    }

    /// What is open for an engine before it starts.
    struct Parts: ~Copyable {
        /// A verbose engine writes some lines for each handshake, every two minutes.
        static let logLimitBytes = 256 << 10

        let configuration: FileDescriptor
        let identityFile: FileDescriptor
        /// What it writes to standard error, in memory: there is no place on disk for a tunnel of a minute.
        let messages: FileDescriptor
        /// The engine lives as long as the writing end is open.
        let life: Pipe

        static func open(_ plan: TunnelPlan, identityPath: String) throws(SystemError) -> Parts {
            let configuration = try EngineConfiguration.memoryFile(plan.device)
            let identityFile = try FileDescriptor.open(identityPath, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
            let messages = try MemoryFile.bounded(name: "engine-log", limitBytes: logLimitBytes)
            return Parts(
                configuration: configuration, identityFile: identityFile, messages: messages, life: try Pipe())
        }

        consuming func running() -> (life: Int32, messages: Int32) {
            let life = life.takeWriteEnd().release()
            return (life, messages.release())
        }
    }

    func waitUntilReady() throws(TunnelError) {
        do throws(TunnelError) {
            try started.waitUntilReady(milliseconds: 10_000)
        } catch {
            let words = log().split(separator: "\n").suffix(5).joined(separator: "; ")
            throw words.isEmpty
                ? error : TunnelError(error.kind, "\(error.message); it says: \(words)", cure: error.cure)
        }
    }

    /// What it has written so far. Of a long life the beginning, which is what tells why there is no handshake.
    func log() -> String {
        let text = (try? File.readText("/proc/self/fd/\(messages.rawValue)", limitBytes: Parts.logLimitBytes)) ?? ""
        return String(text.prefix { $0 != "\0" })
    }
}
