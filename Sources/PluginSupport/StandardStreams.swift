import CLinux
import Glibc
import LinuxSystem

/// The runtime's ends of a plugin's output. What stands on standard output is the answer and nothing else.
public enum StandardStreams {
    /// Writes the answer; the error says that the runtime did not take it.
    public static func answer(_ text: String) throws(SystemError) {
        try write(text + "\n", to: STDOUT_FILENO)
    }

    /// One line of log on standard error; libcni shows it when a plugin fails without an answer.
    public static func log(_ line: String) {
        // A runtime that closed its end loses the line; that is no reason to fail.
        try? write(line + "\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to number: Int32) throws(SystemError) {
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            offset += try systemCall("write", "descriptor \(number)") {
                bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress.map { $0 + offset }, bytes.count - offset) }
            }
        }
    }

    /// Descriptors 0 to 2 are open afterwards, on /dev/null where the caller left them closed: a file that
    /// we open must never become somebody's standard output. Inherited signal dispositions go, too.
    public static func makePresent() {
        signal(SIGPIPE, SIG_IGN)
        ChildProcess.makeWaitable()
        for number in 0...2 where swg_fcntl(Int32(number), F_GETFD, 0) < 0 {
            // Standard output cannot be written to, as it could not before: an answer that nobody can get is an error.
            _ = Glibc.open("/dev/null", number == STDERR_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}
