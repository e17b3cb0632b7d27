import Glibc
import JSON
import LinuxSystem
import Synchronization

/// What goes to the user: results on standard output, everything else on standard error.
struct Output: Sendable {
    var isJSON = false
    var isQuiet = false
    var isVerbose = false

    /// What became of results that could not be written; shared by all copies.
    let trouble = WriteTrouble()

    func line(_ text: String) { result(text + "\n") }

    private func result(_ text: String) {
        if let error = Output.write(text, to: 1) { trouble.note(error) }
    }

    func warning(_ text: String) { if !isQuiet { Output.write("swg-ns: warning: \(text)\n", to: 2) } }

    func notice(_ text: String) { if !isQuiet { Output.write("swg-ns: \(text)\n", to: 2) } }

    func error(_ text: String) { Output.write("swg-ns: \(text)\n", to: 2) }

    func trace(_ text: String) { if isVerbose { Output.write("swg-ns: \(text)\n", to: 2) } }

    /// One JSON document with sorted keys and a newline.
    func json(_ value: some Encodable) throws {
        result(try JSONValue(encoding: value).indented + "\n")
    }

    /// A reader that went away is no error of ours: EPIPE ends the writing.
    ///
    /// - Returns: why not all of it was written, such as a full disk.
    @discardableResult
    static func write(_ text: String, to descriptor: Int32) -> Errno? {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                guard errno == EAGAIN else { return errno == EPIPE ? nil : .current }
                // Somebody made our terminal non-blocking: wait for room instead of asking all the time.
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, -1)
                continue
            }
            bytes = bytes.dropFirst(count)
        }
        return nil
    }
}

/// The first failure of writing results: a script that keeps them must not take half of one for the whole.
final class WriteTrouble: Sendable {
    private let first = Mutex<Errno?>(nil)

    func note(_ error: Errno) { first.withLock { $0 = $0 ?? error } }

    var error: SystemError? {
        first.withLock { $0 }.map { SystemError(call: "write", object: "standard output", errno: $0) }
    }
}
