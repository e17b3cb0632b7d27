import Glibc
import LinuxSystem

/// What `swg-ns` and the child that becomes the command say to each other: a word, a short text, and a descriptor where
/// one is handed over. Both ends wait.
struct CommandChannel: ~Copyable {
    private let channel: DescriptorChannel

    init(owning number: Int32) { channel = DescriptorChannel(owning: FileDescriptor(owning: number)) }

    var descriptor: Int32 { channel.descriptor.rawValue }

    /// What the child and the program say to each other.
    enum Word: UInt8 {
        /// Child: its network namespace, which comes along.
        case namespace = 0x4e
        /// Child: the TUN, which comes along. Parent: the kernel's device is in place.
        case device = 0x44
        /// Child: what the user should know.
        case warning = 0x57
        /// Child: everything is done, and only the word to start is missing.
        case ready = 0x52
        /// Parent: become the command.
        case start = 0x47
        /// Child: could not, and why; the text is for the user.
        case failed = 0x45
        /// Child: exec refused; errno as text.
        case execFailed = 0x58
        /// Child of `--strict`: the number of the process that lives in the new pid namespace.
        case initialProcess = 0x49
        /// It: the command's wait status.
        case ended = 0x53
        /// It: the command has stopped itself.
        case stopped = 0x54
    }

    struct Message: ~Copyable {
        var word: Word
        var text: String
        var descriptor: FileDescriptor?
    }

    /// Two open ends, to be owned by two processes.
    static func pair() throws(SystemError) -> (ours: Int32, theirs: Int32) {
        let (ours, theirs) = try DescriptorChannel.makePair(waits: true)
        return (ours, theirs)
    }

    borrowing func send(_ word: Word, _ text: String = "", passing passed: Int32? = nil) throws(SystemError) {
        let bytes = [word.rawValue] + Array(text.utf8.prefix(DescriptorChannel.messageBytes - 1))
        try withUnsafeTemporaryAllocation(byteCount: bytes.count, alignment: 1) { message throws(SystemError) in
            message.copyBytes(from: bytes)
            _ = try channel.send(UnsafeRawBufferPointer(message), descriptors: passed.map { [$0] } ?? [])
        }
    }

    /// The next message; nil when the other side is gone.
    borrowing func receive() throws(SystemError) -> Message? {
        var descriptors: [Int32] = []
        let said = try withUnsafeTemporaryAllocation(byteCount: DescriptorChannel.messageBytes, alignment: 1) {
            message throws(SystemError) -> (Word, String)? in
            guard let count = try channel.receive(into: message, descriptors: &descriptors), count > 0,
                let word = Word(rawValue: message[0])
            else { return nil }
            return (word, String(decoding: message[1..<count], as: UTF8.self))
        }
        let owned = descriptors.first.map { FileDescriptor(owning: $0) }
        for number in descriptors.dropFirst() { close(number) }
        guard let (word, text) = said else { return nil }
        return Message(word: word, text: text, descriptor: owned)
    }
}
