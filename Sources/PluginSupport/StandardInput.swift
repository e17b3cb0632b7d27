import CLinux
import Glibc
import LinuxSystem

/// What a runtime writes to a plugin's standard input, with bounds in bytes and in time: a caller that never
/// closes it must not leave a plugin behind for ever.
public enum StandardInput {
    /// A real network configuration has some hundred bytes; GC's list of attachments some ten thousand.
    public static let limitBytes = 1 << 20
    public static let deadlineMilliseconds: Int32 = 20_000

    public struct Failure: Error, Hashable, Sendable {
        public let reason: String
    }

    /// Everything up to the end of input.
    public static func read(
        from number: Int32 = 0, limitBytes: Int = limitBytes, deadlineMilliseconds: Int32 = deadlineMilliseconds
    ) throws(Failure) -> [UInt8] {
        let deadline = BootTime.now.advanced(byNanoseconds: UInt64(max(deadlineMilliseconds, 0)) * 1_000_000)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 8192)
        do {
            while true {
                let remaining = Int32(clamping: (deadline.since(BootTime.now) + 999_999) / 1_000_000)
                guard try waitReadable(number, milliseconds: remaining) else {
                    throw Failure(reason: "standard input was not closed within \(deadlineMilliseconds / 1000) s")
                }
                let count = try systemCall("read", "standard input") { Glibc.read(number, &chunk, chunk.count) }
                if count == 0 { return bytes }
                guard bytes.count + count <= limitBytes else {
                    throw Failure(reason: "more than \(limitBytes) bytes on standard input")
                }
                bytes.append(contentsOf: chunk[..<count])
            }
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(reason: "\(error)")
        }
    }
}
