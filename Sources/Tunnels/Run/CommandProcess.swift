import CLinux
import Confinement
import Glibc
import LinuxSystem
import Namespaces

/// The child that becomes the command, as the parent sees it: its words in the order in which they must come.
struct CommandProcess: ~Copyable {
    private var supervisor: CommandSupervisor

    var process: pid_t { supervisor.process }
    var warnings: [String] { supervisor.warnings }

    /// Only while this process has a single thread.
    static func fork(_ setup: consuming CommandSetup) throws(TunnelError) -> CommandProcess {
        do throws(SystemError) {
            let ends = try CommandChannel.pair()
            let child = Glibc.fork()
            if child == 0 {
                let status = CommandChild.run(setup, CommandChannel(owning: ends.theirs))
                _exit(status)
            }
            let error = Errno.current
            close(ends.theirs)
            let channel = CommandChannel(owning: ends.ours)
            if child < 0 { throw SystemError(call: "fork", errno: error) }
            return CommandProcess(supervisor: try CommandSupervisor(process: child, channel: channel))
        } catch {
            throw TunnelError(error, doing: "starting the command's process")
        }
    }

    mutating func receiveNamespace() throws(TunnelError) -> NetworkNamespace {
        var message = try receive(.namespace)
        guard let descriptor = message.descriptor.take() else { throw Self.lost }
        do throws(NamespaceError) {
            return try NetworkNamespace(verifying: descriptor, label: "the command's network namespace")
        } catch {
            throw TunnelError(.target, "\(error)")
        }
    }

    mutating func receiveDevice() throws(TunnelError) -> FileDescriptor {
        var message = try receive(.device)
        guard let descriptor = message.descriptor.take() else { throw Self.lost }
        return descriptor
    }

    mutating func waitUntilReady() throws(TunnelError) { _ = try receive(.ready) }

    borrowing func tell(_ word: CommandChannel.Word) throws(TunnelError) {
        do throws(SystemError) {
            try supervisor.send(word)
        } catch {
            throw TunnelError(error, doing: "telling the command's process")
        }
    }

    /// Lets time pass while nothing has started yet.
    mutating func pause(milliseconds: Int32) throws(TunnelError) {
        switch try next(.preparing, milliseconds: milliseconds) {
        case .timeout: return
        case .said(let message): throw Self.failure(message)
        case .ended(let ending): throw Self.died(ending)
        case .interrupted(let signal): throw TunnelError.interrupted(signal)
        }
    }

    /// Gives the word, and returns how the command ended.
    mutating func startAndWait() throws(TunnelError) -> ChildProcess.Ending {
        try tell(.start)
        var ending: ChildProcess.Ending?
        while true {
            switch try next(.running) {
            case .timeout: continue
            case .said(let message):
                switch message.word {
                case .ended: ending = Int32(message.text).map { ChildProcess.Ending(waitStatus: $0) }
                // Told before the process that exits with 126 or 127.
                case .execFailed: Notice.write(message.text)
                case .failed: throw TunnelError(.system, message.text)
                default: continue
                }
            case .ended(let last):
                return ending ?? last
            case .interrupted: continue
            }
        }
    }

    mutating func abandon() { supervisor.abandon() }

    private mutating func receive(_ wanted: CommandChannel.Word) throws(TunnelError) -> CommandChannel.Message {
        switch try next(.preparing) {
        case .said(let message):
            guard message.word == wanted else { throw Self.failure(message) }
            return message
        case .ended(let ending): throw Self.died(ending)
        case .interrupted(let signal): throw TunnelError.interrupted(signal)
        case .timeout: throw Self.lost
        }
    }

    private mutating func next(
        _ phase: CommandSupervisor.Phase, milliseconds: Int32 = -1
    ) throws(TunnelError) -> CommandSupervisor.Event {
        do throws(SystemError) {
            return try supervisor.next(phase, milliseconds: milliseconds)
        } catch {
            throw TunnelError(error, doing: "watching the command's process")
        }
    }

    private static func failure(_ message: borrowing CommandChannel.Message) -> TunnelError {
        TunnelError(
            .system, message.text.isEmpty ? "the command's process said \(message.word) out of turn" : message.text)
    }

    private static func died(_ ending: ChildProcess.Ending) -> TunnelError {
        TunnelError(.system, "the command's process ended before the command was started (\(ending))")
    }

    private static var lost: TunnelError { TunnelError(.system, "the command's process handed over nothing") }
}

extension TunnelError {
    /// A signal came before anything was started.
    static func interrupted(_ signal: Int32) -> TunnelError {
        TunnelError(.system, "interrupted by signal \(signal) before the command was started")
    }
}

extension ChildProcess.Ending {
    /// The status that `swg-ns` exits with, unless the command was killed by Ctrl-C: then `swg-ns` dies of the
    /// same signal. A shell script that runs it in a loop must see that it was interrupted, as it does with
    /// env(1) and sudo(8); a shell shows 130 for both.
    func exitStatus() -> Int32 {
        guard self == .killed(signal: SIGINT) else { return shellStatus }
        signal(SIGINT, SIG_DFL)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGINT)
        kill(getpid(), SIGINT)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        return shellStatus
    }
}
