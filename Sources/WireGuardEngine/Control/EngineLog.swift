import Glibc
import LinuxSystem

/// Lines on standard error, which Tunnels, systemd or the user's terminal keep. Never a key.
///
/// `LOG_LEVEL` as in wireguard-go: `silent`, `error` (default), `verbose` or `debug`.
struct EngineLog: Sendable {
    enum Level: Int, Comparable, Sendable {
        case silent, error, verbose

        init(environment: String?) {
            switch environment {
            case "silent": self = .silent
            case "verbose", "debug", "info": self = .verbose
            default: self = .error
            }
        }

        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    let level: Level
    let name: String

    func error(_ text: @autoclosure () -> String) { if level >= .error { write("ERROR", text()) } }
    /// What works, but not as well as it could: shown with the errors.
    func warning(_ text: @autoclosure () -> String) { if level >= .error { write("WARNING", text()) } }
    func verbose(_ text: @autoclosure () -> String) { if level >= .verbose { write("DEBUG", text()) } }

    /// One write(2) per line, so that lines of two processes do not mix.
    private func write(_ kind: String, _ text: String) {
        let line = "\(kind): (\(name)) \(text)\n"
        _ = line.utf8.withContiguousStorageIfAvailable { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
