import CLinux
import Glibc

/// An open descriptor with one owner; closed when the owner ends.
///
/// Not copyable, so that a number can never be closed twice and never be used after it was closed:
/// in a program that joins namespaces, a recycled number is somebody else's namespace.
public struct FileDescriptor: ~Copyable, Sendable {
    public let rawValue: Int32

    /// Takes ownership of an open descriptor.
    public init(owning rawValue: Int32) {
        precondition(rawValue >= 0, "not a descriptor")
        self.rawValue = rawValue
    }

    deinit { close(rawValue) }

    /// Gives up ownership: the caller closes the number from here on.
    public consuming func release() -> Int32 {
        let number = rawValue
        discard self
        return number
    }

    /// A second descriptor for the open file behind somebody else's number.
    public static func duplicating(_ number: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try systemCall("fcntl(F_DUPFD_CLOEXEC)", "descriptor \(number)") {
                swg_fcntl(number, F_DUPFD_CLOEXEC, 3)
            })
    }

    /// A second descriptor for the same open file, closed on exec. fcntl(2) F_DUPFD_CLOEXEC.
    public borrowing func duplicate(atLeast minimum: Int32 = 3) throws(SystemError) -> FileDescriptor {
        let number = rawValue
        return FileDescriptor(
            owning: try systemCall("fcntl(F_DUPFD_CLOEXEC)", "descriptor \(number)") {
                swg_fcntl(number, F_DUPFD_CLOEXEC, Int(minimum))
            })
    }

    public borrowing func setNonBlocking(_ on: Bool = true) throws(SystemError) {
        let number = rawValue
        let flags = try systemCall("fcntl(F_GETFL)") { swg_fcntl(number, F_GETFL, 0) }
        let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        try systemCall("fcntl(F_SETFL)") { swg_fcntl(number, F_SETFL, Int(wanted)) }
    }

    public borrowing func setCloseOnExec(_ on: Bool) throws(SystemError) {
        let number = rawValue
        try systemCall("fcntl(F_SETFD)") { swg_fcntl(number, F_SETFD, on ? Int(FD_CLOEXEC) : 0) }
    }

    /// Device and inode, which identify a namespace or a file for as long as a descriptor holds it.
    public borrowing func identity() throws(SystemError) -> FileIdentity {
        let number = rawValue
        var status = stat()
        try systemCall("fstat", "descriptor \(number)") { fstat(number, &status) }
        return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}

/// What a file is, whatever it is called. stat(2) `st_dev` and `st_ino`.
public struct FileIdentity: Hashable, Sendable {
    public let device: UInt64
    public let inode: UInt64

    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

extension FileIdentity: CustomStringConvertible {
    public var description: String { "\(device):\(inode)" }
}
