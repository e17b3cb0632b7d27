import Glibc

/// pipe2(2), closed on exec.
public struct Pipe: ~Copyable, Sendable {
    public let readEnd: FileDescriptor
    public let writeEnd: FileDescriptor

    public init() throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        try withUnsafeMutableBytes(of: &ends) { (buffer) throws(SystemError) in
            let numbers = buffer.bindMemory(to: Int32.self)
            try systemCall("pipe2") { pipe2(numbers.baseAddress, O_CLOEXEC) }
        }
        readEnd = FileDescriptor(owning: ends.0)
        writeEnd = FileDescriptor(owning: ends.1)
    }

    /// Closes our writing end: only then does the reading end see the child's.
    public consuming func takeReadEnd() -> FileDescriptor { readEnd }

    /// Closes our reading end.
    public consuming func takeWriteEnd() -> FileDescriptor { writeEnd }
}
