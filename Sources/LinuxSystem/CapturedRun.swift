import CLinux
import Glibc

/// What another program answered, when it was run with a deadline and with bounds.
///
/// For programs that we must call but do not trust to end: an IPAM delegate, a runtime's own command line.
/// The child leads a session of its own, so that its children are killed with it at the deadline.
public struct CapturedRun: Sendable {
    /// Nil when the deadline or a bound ended it.
    public var ending: ChildProcess.Ending?
    public var output: [UInt8] = []
    public var errorOutput: [UInt8] = []
    /// Why we ended it: `no answer within 20 s`, `more than 1048576 bytes of output`.
    public var refusal: String?
}

extension Spawn {
    /// Runs the program to its end. `descriptors` of the plan are replaced: 0 reads `input`, 1 and 2 are captured.
    ///
    /// - Parameters:
    ///   - deadlineMilliseconds: for everything, the end of its output included.
    ///   - limitBytes: for each of the two outputs.
    public func capture(
        input: [UInt8] = [], deadlineMilliseconds: Int32, limitBytes: Int = 1 << 20
    ) throws(SystemError) -> CapturedRun {
        try startCapture(input: input, deadlineMilliseconds: deadlineMilliseconds, limitBytes: limitBytes).finish()
    }

    /// As `capture`, in two halves: the program runs beside its caller until `finish` collects it. The deadline
    /// counts from here.
    public func startCapture(
        input: [UInt8] = [], deadlineMilliseconds: Int32, limitBytes: Int = 1 << 20
    ) throws(SystemError) -> PendingRun {
        // A file instead of a pipe: a child that does not read its input cannot block us.
        let inputFile = try MemoryFile.create(name: "input", contents: input)
        let output = try Pipe()
        let errors = try Pipe()
        var plan = self
        plan.descriptors = [inputFile.rawValue, output.writeEnd.rawValue, errors.writeEnd.rawValue]
        plan.newSession = true
        let child = try plan.start()
        return PendingRun(
            child, Reader(descriptor: output.takeReadEnd(), limitBytes: limitBytes),
            Reader(descriptor: errors.takeReadEnd(), limitBytes: limitBytes), deadlineMilliseconds)
    }
}

/// A program that runs beside its caller. One that is never collected is killed.
public struct PendingRun: ~Copyable {
    private var child: ChildProcess?
    private var output: Reader
    private var errors: Reader
    private let milliseconds: Int32
    private let deadline: BootTime

    fileprivate init(
        _ child: consuming ChildProcess, _ output: consuming Reader, _ errors: consuming Reader, _ milliseconds: Int32
    ) {
        self.child = consume child
        self.output = output
        self.errors = errors
        self.milliseconds = milliseconds
        deadline = BootTime.now.advanced(byNanoseconds: UInt64(max(milliseconds, 0)) * 1_000_000)
    }

    deinit {
        guard let child else { return }
        // Unreaped, so the number is still this session's.
        Glibc.kill(-child.pid, SIGKILL)
        child.kill()
    }

    /// Waits for its end, or ends it at the deadline or at a bound.
    public consuming func finish() throws(SystemError) -> CapturedRun {
        var run = CapturedRun()
        while run.refusal == nil, output.isOpen || errors.isOpen {
            let remaining = Int32(clamping: (deadline.since(BootTime.now) + 999_999) / 1_000_000)
            var entries = InlineArray<2, pollfd>(repeating: pollfd(fd: -1, events: Int16(POLLIN), revents: 0))
            if output.isOpen { entries[0].fd = output.descriptor.rawValue }
            if errors.isOpen { entries[1].fd = errors.descriptor.rawValue }
            var span = entries.mutableSpan
            let count = span.withUnsafeMutableBufferPointer { poll($0.baseAddress, 2, remaining) }
            if count < 0, Glibc.errno == EINTR { continue }
            if count <= 0 {
                run.refusal = "no answer within \(milliseconds / 1000) s"
                break
            }
            if entries[0].revents != 0 { try output.read() }
            if entries[1].revents != 0 { try errors.read() }
            if output.isOverLimit || errors.isOverLimit {
                run.refusal = "more than \(output.limitBytes) bytes of output"
            }
        }
        if run.refusal == nil {
            // Both outputs are closed; what is left is its end.
            let remaining = Int32(clamping: deadline.since(BootTime.now) / 1_000_000)
            if try child?.process.waitForExit(milliseconds: remaining) != true {
                run.refusal = "no answer within \(milliseconds / 1000) s"
            }
        }
        run.output = output.bytes
        run.errorOutput = errors.bytes
        if run.refusal == nil { run.ending = try child.take()?.wait() }
        return run
    }
}

/// One output of the child, up to its bound.
private struct Reader: ~Copyable {
    let descriptor: FileDescriptor
    let limitBytes: Int
    var bytes: [UInt8] = []
    var isOpen = true
    var isOverLimit = false

    init(descriptor: consuming FileDescriptor, limitBytes: Int) {
        self.descriptor = descriptor
        self.limitBytes = limitBytes
    }

    mutating func read() throws(SystemError) {
        var chunk = [UInt8](repeating: 0, count: 16384)
        let number = descriptor.rawValue
        let count = try systemCall("read", "pipe") { Glibc.read(number, &chunk, chunk.count) }
        if count == 0 { isOpen = false }
        let room = limitBytes - bytes.count
        if count > room { isOverLimit = true }
        bytes.append(contentsOf: chunk[..<min(count, room)])
    }
}
