import Glibc
import LinuxSystem

/// How an engine is started. Everything is open already: the engine gets descriptors, and no key or name of a
/// file reaches its arguments or environment (promise P3).
struct EngineStart {
    /// Absolute path of the program.
    var program: String
    var id: TunnelID
    /// The TUN device, one queue.
    var tun: Int32
    /// What the TUN was asked before it moved.
    var tunLayout: TunDevice.Layout?
    /// The listening UAPI socket.
    var uapi: Int32
    /// A memory file with one `set=1` request.
    var configuration: Int32
    /// Where the floors of the timestamps are kept.
    var stateDirectory: String
    /// The engine ends when the other end closes (`run` only).
    var life: Int32?
    /// Gets the engine's identity from the child itself.
    var identityFile: Int32?
    /// To join before the program runs; nil when the caller is in the birthplace.
    var birthplace: Int32?
    /// Where its messages go; nil is /dev/null.
    var standardError: Int32?
    /// `cgroup.procs` of a group of its own.
    var controlGroup: Int32?
    var logLevel = "error"
    /// Off for `run`, where the engine belongs to the caller's session.
    var ownSession = true

    /// Starts it; it is not ready yet (see `StartedEngine.waitUntilReady`).
    func start() throws(TunnelError) -> StartedEngine {
        do {
            let null = try FileDescriptor.open("/dev/null", O_RDWR)
            let ready = try Pipe()
            var spawn = Spawn(
                .path(program), arguments: [program, "-f", id.text],
                environment: [
                    "LOG_LEVEL=\(logLevel)", "WG_TUN_FD=3", "WG_UAPI_FD=4", "SWG_CONFIG_FD=5", "SWG_READY_FD=6",
                    "WG_PROCESS_FOREGROUND=1", "SWG_STATE_DIR=\(stateDirectory)",
                ],
                descriptors: [
                    null.rawValue, null.rawValue, standardError ?? null.rawValue, tun, uapi, configuration,
                    ready.writeEnd.rawValue,
                ])
            if let tunLayout { spawn.environment.append("SWG_TUN_LAYOUT=\(tunLayout.text)") }
            if let life {
                spawn.environment.append("SWG_LIFE_FD=7")
                spawn.descriptors.append(life)
            }
            spawn.newSession = ownSession
            spawn.networkNamespace = birthplace
            spawn.cgroupProcs = controlGroup
            spawn.resetOutOfMemoryScore = true
            spawn.identityFile = identityFile
            spawn.directory = "/"
            let child = try spawn.start()
            return StartedEngine(child: child, ready: ready.takeReadEnd())
        } catch {
            throw TunnelError(error, doing: "starting the engine \(program)", kind: .engine)
        }
    }
}

/// An engine that was spawned and may not be ready yet.
struct StartedEngine: ~Copyable {
    let child: ChildProcess
    private let ready: FileDescriptor

    init(child: consuming ChildProcess, ready: consuming FileDescriptor) {
        self.child = child
        self.ready = ready
    }

    /// Waits for the engine's word. It writes `ready`, or what went wrong, and closes.
    func waitUntilReady(milliseconds: Int32) throws(TunnelError) {
        let text: [UInt8]?
        do throws(SystemError) {
            text = try word(milliseconds: milliseconds)
        } catch {
            throw TunnelError(error, doing: "waiting for the engine", kind: .engine)
        }
        guard let text else {
            throw TunnelError(.engine, "the engine is not ready after \(milliseconds / 1000) s", cure: "see swg-ns log")
        }
        if text.starts(with: Self.success) { return }
        let words = String(decoding: text, as: UTF8.self).split(separator: "\n").joined(separator: "; ")
        throw TunnelError(
            .engine, words.isEmpty ? "the engine ended without a word" : "the engine: \(words)",
            cure: words.isEmpty ? "see swg-ns log" : nil)
    }

    private static let success = Array("ready\n".utf8)
    private static let longestBytes = 2000

    /// What it says up to its success or the end, or as much as anybody reads; nil when the time is over.
    private func word(milliseconds: Int32) throws(SystemError) -> [UInt8]? {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1024)
        let deadline = BootTime.now.advanced(byNanoseconds: UInt64(max(milliseconds, 0)) * 1_000_000)
        let number = ready.rawValue
        while text.count < Self.longestBytes, !text.starts(with: Self.success) {
            let remaining = Int32(clamping: deadline.since(BootTime.now) / 1_000_000)
            guard try waitReadable(number, milliseconds: remaining) else { return nil }
            let count = try systemCall("read", "the engine's answer") { read(number, &chunk, chunk.count) }
            if count == 0 { break }
            text += chunk[..<count]
        }
        return text
    }
}
