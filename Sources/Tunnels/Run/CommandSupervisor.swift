import CLinux
import Glibc
import LinuxSystem

/// The parent's side of a running command: its words, its end, and the signals that are meant for it.
///
/// `swg-ns` stays in the caller's session and process group, as env(1) would: what a terminal sends
/// (Ctrl-C, Ctrl-Z, a new window size) reaches the command by itself. So `swg-ns` must not die of Ctrl-C
/// before the command has decided what to do about it, must pass on what was sent to it alone, and must stop
/// when the command stops itself, or a shell would never get its prompt back.
struct CommandSupervisor: ~Copyable {
    /// Blocked while we live; SIGTSTP keeps its default: it stops us together with the command.
    private static let watched: [Int32] = [
        SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGALRM,
    ]
    private static let interrupting: Set<Int32> = [SIGTERM, SIGHUP, SIGINT, SIGQUIT]

    private let signals: SignalDescriptor
    private let channel: CommandChannel
    /// The forked child; under --strict the new namespace's process 1 once it has said so.
    private(set) var process: pid_t
    private var isReaped = false
    private(set) var warnings: [String] = []

    /// The mask to give back to the command. Blocks the watched signals: call it before anything can arrive.
    static func blockSignals() -> sigset_t {
        var before = sigset_t()
        var set = sigset_t()
        sigemptyset(&set)
        for signal in watched { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, &before)
        return before
    }

    init(process: pid_t, channel: consuming CommandChannel) throws(SystemError) {
        signals = try SignalDescriptor(Self.watched)
        self.process = process
        self.channel = channel
    }

    /// Why waiting ended.
    enum Event: ~Copyable {
        case said(CommandChannel.Message)
        case ended(ChildProcess.Ending)
        /// A signal asks us to give up before anything has started.
        case interrupted(Int32)
        case timeout
    }

    enum Phase {
        /// Nothing has started yet: signals end the attempt.
        case preparing
        /// The command runs: signals are its own.
        case running
    }

    borrowing func send(_ word: CommandChannel.Word) throws(SystemError) { try channel.send(word) }

    /// The next event, or `.timeout`; negative milliseconds wait for ever.
    mutating func next(_ phase: Phase, milliseconds: Int32 = -1) throws(SystemError) -> Event {
        var channelIsOpen = true
        let deadline = BootTime.now.advanced(byNanoseconds: UInt64(max(milliseconds, 0)) * 1_000_000)
        while true {
            let left = milliseconds < 0 ? -1 : Int32(clamping: (deadline.since(.now) + 999_999) / 1_000_000)
            var entries = [
                pollfd(fd: signals.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
                pollfd(fd: channelIsOpen ? channel.descriptor : -1, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&entries, 2, left)
            if count < 0, errno != EINTR { throw SystemError(call: "poll", errno: .current) }
            if count == 0 { return .timeout }
            // What the child said last comes before its end.
            if entries[1].revents != 0 {
                if let message = try channel.receive() {
                    if message.word == .warning {
                        warnings.append(message.text)
                        continue
                    }
                    if message.word == .initialProcess, let pid = pid_t(message.text) {
                        try adopt(pid)
                        continue
                    }
                    if message.word == .stopped {
                        stopWithCommand()
                        continue
                    }
                    return .said(message)
                }
                channelIsOpen = false
            }
            if entries[0].revents != 0 {
                while let signal = try signals.nextEvent() {
                    if signal.number == SIGCHLD {
                        if let ending = collect() { return .ended(ending) }
                    } else if phase == .preparing {
                        if Self.interrupting.contains(signal.number) { return .interrupted(signal.number) }
                    } else {
                        passOn(signal)
                    }
                }
            }
        }
    }

    /// The child has left its place to a sibling of its, which is our child too.
    private mutating func adopt(_ pid: pid_t) throws(SystemError) {
        var status: Int32 = 0
        let first = process
        try systemCall("waitpid") { waitpid(first, &status, 0) }
        process = pid
    }

    /// The end of the command, if that is what SIGCHLD was about.
    private mutating func collect() -> ChildProcess.Ending? {
        var status: Int32 = 0
        while !isReaped, waitpid(process, &status, WNOHANG | WUNTRACED) == process {
            if swg_wifstopped(status) != 0 {
                stopWithCommand()
                continue
            }
            isReaped = true
            return ChildProcess.Ending(waitStatus: status)
        }
        return nil
    }

    /// What a terminal sent, the command has got by itself. What somebody sent to us is for the command, unless
    /// the command sent it to its whole process group.
    private borrowing func passOn(_ signal: SignalDescriptor.Event) {
        guard let sender = signal.sender, sender != process, !isReaped else { return }
        kill(process, signal.number)
    }

    /// The command has stopped. A shell that waits for us must hear of it; it continues the whole group.
    ///
    /// The news may be old: after Ctrl-Z we were stopped ourselves, and hear of it when the shell has already
    /// continued both, or is about to. So it is looked at again a moment later.
    private borrowing func stopWithCommand() {
        usleep(Self.settlingMicroseconds)
        guard !isReaped, isStopped() else { return }
        kill(getpid(), SIGSTOP)
        // Continued from here on. A command in a group of its own is not in the group that the shell continued.
        if !isReaped { kill(process, SIGCONT) }
    }

    private static let settlingMicroseconds: UInt32 = 30_000

    /// Whether the command is in state T: our child, or under --strict a child of our child. proc_pid_stat(5).
    private borrowing func isStopped() -> Bool {
        let children = (try? File.readText("/proc/\(process)/task/\(process)/children")) ?? ""
        return (children.split(separator: " ").compactMap { pid_t($0) } + [process]).contains { pid in
            guard let text = try? File.readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else {
                return false
            }
            return text[text.index(after: end)...].hasPrefix(" T")
        }
    }

    /// Ends the child that was not told to start, and reaps it.
    mutating func abandon() {
        guard !isReaped else { return }
        kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        isReaped = true
    }
}

/// The terminal's foreground group, given back after a command that took it for a group of its own.
struct TerminalOwner {
    private let terminal: Int32
    private let group: pid_t

    /// Nil when we are not in the foreground of a terminal.
    init?() {
        terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard terminal >= 0 else { return nil }
        group = getpgrp()
        guard tcgetpgrp(terminal) == group else {
            close(terminal)
            return nil
        }
    }

    func restore() {
        defer { close(terminal) }
        guard tcgetpgrp(terminal) != group else { return }
        var before = sigset_t()
        var output = sigset_t()
        sigemptyset(&output)
        sigaddset(&output, SIGTTOU)
        pthread_sigmask(SIG_BLOCK, &output, &before)
        tcsetpgrp(terminal, group)
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }
}
