import Glibc
import LinuxSystem
import WireGuardConfig

/// `PrivateKeyCommand=` and `PresharedKeyCommand=`: a shell command that prints a key, such as a password
/// manager's. It runs in our session, so that it can ask for a passphrase on the terminal.
enum KeyCommand {
    /// For all of its output and its end.
    static let deadlineSeconds: UInt64 = 10
    /// Where somebody may have to type a passphrase.
    static let deadlineSecondsOnTerminal: UInt64 = 60

    static func output(of command: String, for reference: KeyReference) throws(TunnelError) -> KeyFile {
        let hasTerminal = isatty(2) == 1
        let seconds = hasTerminal ? deadlineSecondsOnTerminal : deadlineSeconds
        do throws(SystemError) {
            let pipe = try Pipe()
            let null = try FileDescriptor.open("/dev/null", O_RDWR)
            let child = try Spawn(
                .path("/bin/sh"), arguments: ["/bin/sh", "-c", command],
                environment: environment(), descriptors: [null.rawValue, pipe.writeEnd.rawValue, 2]
            ).start()
            let reader = pipe.takeReadEnd()
            let deadline = BootTime.now.advanced(byNanoseconds: seconds * 1_000_000_000)
            let output: KeyFile
            do throws(SystemError) {
                output = try KeyFile.read(from: reader.rawValue, "its output", deadline: deadline)
                let remaining = Int32(clamping: deadline.since(BootTime.now) / 1_000_000)
                guard try child.process.waitForExit(milliseconds: remaining) else {
                    throw SystemError(call: "wait for", object: "its end", errno: Errno(ETIMEDOUT))
                }
            } catch {
                end(child)
                throw error
            }
            let ending = try child.wait()
            guard ending == .exited(0) else {
                throw SystemError(
                    call: "run", object: "it", errno: Errno(EIO), detail: "it ended with status \(ending.shellStatus)")
            }
            return output
        } catch {
            let isLate = error.errno.rawValue == ETIMEDOUT
            throw TunnelError(
                error, doing: "getting a key by \(reference.use.name)Command", kind: .configurationFile,
                cure: isLate
                    ? "it has to print the key and end within \(seconds) s: try it by hand"
                    : "it has to print the key alone and end with status 0: try it by hand")
        }
    }

    /// A password manager finds its store by HOME, and its agent by the rest.
    private static func environment() -> [String] {
        var result = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        for name in ["HOME", "GPG_TTY", "TERM", "XDG_RUNTIME_DIR", "PASSWORD_STORE_DIR", "GNUPGHOME"] {
            if let value = getenv(name) { result.append("\(name)=\(String(cString: value))") }
        }
        if getenv("HOME") == nil { result.append("HOME=/root") }
        return result
    }

    /// With what it has started: a `sleep` of a pipeline would outlive its shell.
    private static func end(_ child: consuming ChildProcess) {
        for pid in EnginePlacement.descendants(of: child.pid) {
            // Its parent, which we keep from being reaped, is alive or waited for: the number is still the same.
            if let process = try? ProcessDescriptor.open(pid) { _ = try? process.send(SIGKILL) }
        }
        child.kill()
    }
}
