import CLinux
import Glibc

/// A process by descriptor. pidfd_open(2).
public struct ProcessDescriptor: ~Copyable, Sendable {
    public let descriptor: FileDescriptor

    public init(owning descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

    public static func open(_ pid: Int32) throws(SystemError) -> ProcessDescriptor {
        ProcessDescriptor(
            owning: FileDescriptor(owning: try systemCall("pidfd_open", "process \(pid)") { swg_pidfd_open(pid) }))
    }

    /// pidfd_send_signal(2); false when the process has ended.
    @discardableResult
    public borrowing func send(_ signal: Int32) throws(SystemError) -> Bool {
        let number = descriptor.rawValue
        do {
            try systemCall("pidfd_send_signal", "signal \(signal)") { swg_pidfd_send_signal(number, signal) }
            return true
        } catch {
            if error.errno.rawValue == ESRCH { return false }
            throw error
        }
    }

    /// Waits for the end; false when it is still alive after the time.
    public borrowing func waitForExit(milliseconds: Int32) throws(SystemError) -> Bool {
        try waitReadable(descriptor.rawValue, milliseconds: milliseconds)
    }
}
