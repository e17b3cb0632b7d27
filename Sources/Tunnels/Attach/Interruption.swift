import CLinux
import Glibc

/// Holds SIGINT, SIGTERM and SIGHUP back while something is half made: between two steps it is asked whether
/// one has come, so that an interrupted attach undoes itself instead of leaving its journal to `gc`.
struct Interruption: ~Copyable {
    private var before = sigset_t()
    private static let signals = [SIGINT, SIGTERM, SIGHUP]

    init() {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in Interruption.signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, &before)
    }

    /// The held-back signal arrives now.
    borrowing func end() {
        var mask = before
        pthread_sigmask(SIG_SETMASK, &mask, nil)
    }

    /// - Throws: when a signal is waiting.
    static func checkpoint() throws(TunnelError) {
        var pending = sigset_t()
        sigpending(&pending)
        for signal in signals where sigismember(&pending, signal) == 1 {
            throw TunnelError(.system, "interrupted by signal \(signal)")
        }
    }
}
