import CLinux
import Glibc

/// One end of a pair of sockets that carries small messages and open descriptors between two processes.
/// unix(7) SOCK_SEQPACKET, SCM_RIGHTS. Non-blocking, unless its pair was made to wait.
public struct DescriptorChannel: ~Copyable, Sendable {
    /// Bytes of the largest message.
    public static let messageBytes = 4096
    public static let maximumDescriptors = 4

    public let descriptor: FileDescriptor

    public init(owning descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

    /// Two connected ends, closed on exec; the numbers are the caller's.
    ///
    /// - Parameter waits: `send` waits for room and `receive` for a message.
    public static func makePair(waits: Bool = false) throws(SystemError) -> (Int32, Int32) {
        var numbers: (Int32, Int32) = (-1, -1)
        var type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        if !waits { type |= Int32(SOCK_NONBLOCK.rawValue) }
        try systemCall("socketpair") {
            withUnsafeMutableBytes(of: &numbers) {
                socketpair(AF_UNIX, type, 0, $0.bindMemory(to: Int32.self).baseAddress)
            }
        }
        return numbers
    }

    /// Sends one message; false when the other side's queue is full.
    ///
    /// - Throws: EPIPE when the other side is gone.
    @discardableResult
    public borrowing func send(_ message: UnsafeRawBufferPointer, descriptors: [Int32] = []) throws(SystemError) -> Bool
    {
        precondition(
            message.count <= DescriptorChannel.messageBytes && descriptors.count <= DescriptorChannel.maximumDescriptors
        )
        let number = descriptor.rawValue
        var piece = iovec(iov_base: UnsafeMutableRawPointer(mutating: message.baseAddress), iov_len: message.count)
        let sent = try withUnsafeTemporaryAllocation(byteCount: 128, alignment: 16) {
            control throws(SystemError) -> Int? in
            var header = msghdr()
            let dataBytes = descriptors.count * MemoryLayout<Int32>.size
            if !descriptors.isEmpty, let base = control.baseAddress {
                memset(base, 0, control.count)
                var rights = cmsghdr()
                rights.cmsg_len = swg_cmsg_len(dataBytes)
                rights.cmsg_level = SOL_SOCKET
                rights.cmsg_type = Int32(SCM_RIGHTS)
                base.storeBytes(of: rights, as: cmsghdr.self)
                for (index, descriptor) in descriptors.enumerated() {
                    base.storeBytes(
                        of: descriptor, toByteOffset: MemoryLayout<cmsghdr>.size + index * MemoryLayout<Int32>.size,
                        as: Int32.self)
                }
                header.msg_control = base
                header.msg_controllen = swg_cmsg_space(dataBytes)
            }
            return try withUnsafeMutablePointer(to: &piece) { pointer throws(SystemError) -> Int? in
                header.msg_iov = pointer
                header.msg_iovlen = 1
                return try systemCallUnlessBlocked("sendmsg") {
                    sendmsg(number, &header, Int32(MSG_NOSIGNAL))
                }
            }
        }
        return sent != nil
    }

    /// Receives one message; nil when there is none. Zero bytes are the end of the other side.
    ///
    /// What the other side sent before it ended comes first, whatever it left unread: for that the kernel answers
    /// ECONNRESET, once, ahead of the messages that still wait.
    ///
    /// - Parameter descriptors: gets the numbers that came along, close-on-exec, owned by the caller.
    public borrowing func receive(
        into message: UnsafeMutableRawBufferPointer, descriptors: inout [Int32]
    ) throws(SystemError) -> Int? {
        do throws(SystemError) {
            return try receiveOnce(into: message, descriptors: &descriptors)
        } catch {
            guard error.errno.rawValue == ECONNRESET else { throw error }
            return try receiveOnce(into: message, descriptors: &descriptors)
        }
    }

    private borrowing func receiveOnce(
        into message: UnsafeMutableRawBufferPointer, descriptors: inout [Int32]
    ) throws(SystemError) -> Int? {
        let number = descriptor.rawValue
        descriptors.removeAll(keepingCapacity: true)
        var piece = iovec(iov_base: message.baseAddress, iov_len: message.count)
        return try withUnsafeTemporaryAllocation(byteCount: 128, alignment: 16) { control throws(SystemError) -> Int? in
            var header = msghdr()
            header.msg_control = control.baseAddress
            header.msg_controllen = control.count
            let count = try withUnsafeMutablePointer(to: &piece) { pointer throws(SystemError) -> Int? in
                header.msg_iov = pointer
                header.msg_iovlen = 1
                return try systemCallUnlessBlocked("recvmsg") {
                    recvmsg(number, &header, Int32(MSG_CMSG_CLOEXEC))
                }
            }
            guard let count else { return nil }
            var next = swg_cmsg_first(&header)
            while let current = next {
                if current.pointee.cmsg_level == SOL_SOCKET, current.pointee.cmsg_type == Int32(SCM_RIGHTS),
                    let data = swg_cmsg_data(current)
                {
                    let dataBytes = Int(current.pointee.cmsg_len) - Int(swg_cmsg_len(0))
                    for index in 0..<max(0, dataBytes / MemoryLayout<Int32>.size) {
                        descriptors.append(data.load(fromByteOffset: index * MemoryLayout<Int32>.size, as: Int32.self))
                    }
                }
                next = swg_cmsg_next(&header, current)
            }
            return count
        }
    }
}
