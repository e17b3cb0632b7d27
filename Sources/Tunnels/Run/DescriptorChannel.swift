import CLinux
import Glibc
import LinuxSystem

/// A pair of connected sockets between `swg-ns` and the child that becomes the command: short records, with a
/// descriptor where one is handed over. unix(7), SCM_RIGHTS.
struct DescriptorChannel: ~Copyable {
    let descriptor: FileDescriptor

    init(owning number: Int32) { descriptor = FileDescriptor(owning: number) }

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
        var ends: (ours: Int32, theirs: Int32) = (-1, -1)
        try systemCall("socketpair") {
            withUnsafeMutableBytes(of: &ends) { buffer in
                let type = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)
                return socketpair(AF_UNIX, type, 0, buffer.bindMemory(to: Int32.self).baseAddress)
            }
        }
        return ends
    }

    borrowing func send(_ word: Word, _ text: String = "", passing passed: Int32? = nil) throws(SystemError) {
        var bytes = [word.rawValue] + Array(text.utf8.prefix(Self.longestBytes - 1))
        let number = descriptor.rawValue
        try systemCall("sendmsg", "the other half of swg-ns") {
            Self.withMessage(&bytes) { message in
                if let passed {
                    message.msg_controllen = swg_cmsg_space(4)
                    if let header = swg_cmsg_first(&message) {
                        header.pointee.cmsg_level = SOL_SOCKET
                        header.pointee.cmsg_type = Int32(SCM_RIGHTS)
                        header.pointee.cmsg_len = swg_cmsg_len(4)
                        swg_cmsg_data(header).storeBytes(of: passed, as: Int32.self)
                    }
                } else {
                    message.msg_control = nil
                    message.msg_controllen = 0
                }
                return sendmsg(number, &message, Int32(MSG_NOSIGNAL))
            }
        }
    }

    /// The next record; nil when the other side is gone.
    borrowing func receive() throws(SystemError) -> Message? {
        var bytes = [UInt8](repeating: 0, count: Self.longestBytes)
        var passed: Int32 = -1
        let number = descriptor.rawValue
        let count = try systemCall("recvmsg", "the other half of swg-ns") {
            Self.withMessage(&bytes) { message in
                let count = recvmsg(number, &message, Int32(MSG_CMSG_CLOEXEC))
                if count > 0, let header = swg_cmsg_first(&message), header.pointee.cmsg_level == SOL_SOCKET,
                    header.pointee.cmsg_type == Int32(SCM_RIGHTS)
                {
                    passed = swg_cmsg_data(header).load(as: Int32.self)
                }
                return count
            }
        }
        let owned = passed >= 0 ? FileDescriptor(owning: passed) : nil
        guard count > 0, let word = Word(rawValue: bytes[0]) else { return nil }
        return Message(word: word, text: String(decoding: bytes[1..<count], as: UTF8.self), descriptor: owned)
    }

    private static let longestBytes = 4096

    /// A message of one part, with room for one descriptor beside it.
    private static func withMessage(_ bytes: inout [UInt8], _ body: (inout msghdr) -> Int) -> Int {
        // 24 bytes are needed, aligned as a cmsghdr wants it.
        var space: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        return bytes.withUnsafeMutableBytes { buffer in
            var part = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
            return withUnsafeMutablePointer(to: &part) { parts in
                withUnsafeMutableBytes(of: &space) { control in
                    var message = msghdr()
                    message.msg_iov = parts
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    return body(&message)
                }
            }
        }
    }
}
