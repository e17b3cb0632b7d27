import FoundationEssentials
import Glibc

/// What goes to the user: results on standard output, everything else on standard error.
struct Output: Sendable {
    var isJSON = false
    var isQuiet = false
    var isVerbose = false

    func line(_ text: String) { Output.write(text + "\n", to: 1) }

    func warning(_ text: String) { if !isQuiet { Output.write("swg-ns: warning: \(text)\n", to: 2) } }

    func notice(_ text: String) { if !isQuiet { Output.write("swg-ns: \(text)\n", to: 2) } }

    func error(_ text: String) { Output.write("swg-ns: \(text)\n", to: 2) }

    func trace(_ text: String) { if isVerbose { Output.write("swg-ns: \(text)\n", to: 2) } }

    /// One JSON document with sorted keys and a newline.
    func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        Output.write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n", to: 1)
    }

    /// A reader that went away is no error of ours: EPIPE ends the writing.
    static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                return
            }
            bytes = bytes.dropFirst(count)
        }
    }
}
