import CLinux
import Glibc
import LinuxSystem

/// Process 1 of the pid namespace of `--strict`: it starts the command, passes signals on to it, collects
/// orphans, and reports the command's end. When it ends, the kernel kills all that is left in the namespace;
/// when `swg-ns` ends, the kernel kills it.
///
/// It runs with the command's identity and without capabilities, not dumpable, and never reads anything that
/// the command wrote.
enum CommandInit {
    private static let passedOn: [Int32] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGALRM]

    static func run(_ setup: CommandSetup, _ channel: borrowing CommandChannel) -> Int32 {
        do {
            let signals = try SignalDescriptor(passedOn + [SIGCHLD])
            let command = fork()
            if command < 0 { throw SystemError(call: "fork", errno: .current) }
            if command == 0 {
                do throws(CommandFailure) {
                    return try CommandChild.becomeCommand(setup, channel)
                } catch {
                    try? channel.send(.failed, error.description)
                    return RunStatus.failed
                }
            }
            while true {
                guard try waitReadable(signals.descriptor.rawValue, milliseconds: -1) else { continue }
                while let event = try signals.nextEvent() {
                    if event.number == SIGCHLD {
                        if let ending = try collect(command, channel) { return ending.shellStatus & 0xff }
                    } else if event.sender != nil {
                        kill(command, event.number)
                    }
                }
            }
        } catch {
            try? channel.send(.failed, "process 1 of the command's pid namespace: \(error)")
            return RunStatus.failed
        }
    }

    /// Reaps whoever has ended; the command's ending if it is among them.
    private static func collect(
        _ command: pid_t, _ channel: borrowing CommandChannel
    ) throws(SystemError) -> ChildProcess.Ending? {
        while true {
            var status: Int32 = 0
            let pid = waitpid(-1, &status, WNOHANG | WUNTRACED)
            if pid <= 0 { return nil }
            guard pid == command else { continue }
            if swg_wifstopped(status) != 0 {
                try channel.send(.stopped)
                continue
            }
            try channel.send(.ended, "\(status)")
            return ChildProcess.Ending(waitStatus: status)
        }
    }
}
