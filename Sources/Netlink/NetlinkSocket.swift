import CLinux
import CMnl
import Glibc
import LinuxSystem

// Theory of operation.
//
// A netlink socket speaks for the network namespace in which socket(2) was called, for as long as it lives.
// It therefore takes an open descriptor and never a namespace; `Namespaces` opens the descriptor in the right
// place. One request at a time, from one thread at a time; the kernel answers while it holds its own locks,
// so nothing here waits long.
//
// What can go wrong, and what is done about it:
// - a message from somebody else than the kernel (another process may send to our port): ignored;
// - an answer to an older request, left over after an error: ignored by its sequence number;
// - NLM_F_DUMP_INTR, the table changed while it was read: the whole dump is read again, ten times at most;
// - ENOBUFS, messages were lost: the same for a dump, an error for a change;
// - EBUSY, the dump before was not read to its end (after such an error): the rest of it is thrown away first;
// - a message that ends before its length says: a dump is read again, a change goes on waiting;
// - a datagram longer than the buffer (MSG_TRUNC): an error, never a silent half;
// - the refusal's reason in words (extended acknowledgement): goes into SystemError.detail.

/// A netlink connection to the kernel. netlink(7), rtnetlink(7).
public final class NetlinkSocket {
    public enum Bus: Int32, Sendable {
        case route = 0
        case generic = 16
    }

    /// Kernel dumps come in datagrams of at most 32 KiB, most of them; what nothing was written to costs nothing.
    static let receiveBytes = 65536

    let descriptor: FileDescriptor
    let received: MessageMemory
    private(set) var sequence: UInt32
    /// A scripted peer in tests has no netlink address.
    private let checksSender: Bool

    /// Reads of an interrupted dump before giving up.
    static let dumpAttempts = 10

    /// An unbound descriptor for `init(owning:)`, in the calling thread's namespace.
    public static func openDescriptor(_ bus: Bus) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try systemCall("socket", "AF_NETLINK") {
                socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), bus.rawValue)
            })
    }

    /// Takes a socket that was opened in the namespace it shall speak for.
    ///
    /// - Parameter carriesKeys: whether answers may hold keys, as those of the WireGuard family do.
    public init(owning descriptor: consuming FileDescriptor, carriesKeys: Bool = false) throws(SystemError) {
        let number = descriptor.rawValue
        self.descriptor = descriptor
        received = MessageMemory(byteCount: Self.receiveBytes, carriesKeys: carriesKeys)
        checksSender = true
        sequence = UInt32(truncatingIfNeeded: BootTime.now.nanoseconds >> 20)
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        try systemCall("bind", "AF_NETLINK") {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(number, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
        }
        // All three are refused by older kernels, and only make answers better.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] { setOption(SOL_NETLINK, option, 1) }
        // More than the limit needs privilege; a failure leaves the default.
        setOption(SOL_SOCKET, SO_RCVBUF, 1 << 20)
    }

    /// For tests: a stream of datagrams to a scripted peer instead of the kernel.
    init(scripted descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
        received = MessageMemory(byteCount: Self.receiveBytes, carriesKeys: true)
        checksSender = false
        sequence = 1
    }

    private func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        _ = setsockopt(descriptor.rawValue, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends a change and waits for its acknowledgement.
    func change(_ message: borrowing NetlinkMessage) throws(SystemError) {
        message.header.pointee.nlmsg_flags |= UInt16(NLM_F_ACK)
        try exchange(message) { _ in }
    }

    /// Sends a question that has one answer.
    func ask<Answer>(
        _ message: borrowing NetlinkMessage, _ read: (NetlinkReply) -> Answer?
    ) throws(SystemError) -> Answer? {
        message.header.pointee.nlmsg_flags |= UInt16(NLM_F_ACK)
        var answer: Answer?
        try exchange(message) { if let found = read($0) { answer = found } }
        return answer
    }

    /// Reads a table, again from the start as often as it changed meanwhile.
    func dump<State>(
        _ message: borrowing NetlinkMessage, into start: State, _ read: (inout State, NetlinkReply) -> Void
    ) throws(SystemError) -> State {
        message.header.pointee.nlmsg_flags |= UInt16(NLM_F_DUMP)
        var refusal: SystemError?
        for _ in 0..<Self.dumpAttempts {
            var state = start
            do throws(SystemError) {
                refusal = nil
                if try exchange(message, { read(&state, $0) }) { return state }
            } catch {
                // Lost messages, what was read so far is worthless; or the dump before is not at its end.
                guard [ENOBUFS, EBUSY].contains(error.errno.rawValue) else { throw error }
                refusal = error
                discardPending()
            }
        }
        if let refusal { throw refusal }
        throw SystemError(
            call: message.call, object: message.object, errno: Errno(EAGAIN),
            detail:
                "the table changed during each of \(Self.dumpAttempts) readings: try again when the system is quieter")
    }

    func dump<Item>(
        _ message: borrowing NetlinkMessage, _ read: (NetlinkReply) -> Item?
    ) throws(SystemError) -> [Item] {
        try dump(message, into: []) { items, reply in
            if let item = read(reply) { items.append(item) }
        }
    }

    /// Throws away what waits; as long as it is read, the kernel goes on with a dump that nobody wants any more.
    private func discardPending() {
        let buffer = received.bytes
        defer { received.wipe(buffer.count) }
        while recv(descriptor.rawValue, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) > 0 {}
    }

    /// One request and all of its answer; false when the answer was interrupted.
    @discardableResult
    private func exchange(
        _ message: borrowing NetlinkMessage, _ read: (NetlinkReply) -> Void
    ) throws(SystemError) -> Bool {
        guard !message.overflowed else {
            throw SystemError(
                call: message.call, object: message.object, errno: Errno(EMSGSIZE), detail: "does not fit a message")
        }
        sequence &+= 1
        message.header.pointee.nlmsg_seq = sequence
        let bytes = message.bytes
        let number = descriptor.rawValue
        try systemCall("send", message.call) { send(number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) }
        var complete = true
        while true {
            let count = try receive(message.call)
            // A dump of the WireGuard family carries the private key.
            defer { received.wipe(count) }
            var rest = UnsafeRawBufferPointer(rebasing: received.bytes[..<count])
            while let reply = nextMessage(&rest) {
                guard reply.header.nlmsg_seq == sequence else { continue }
                if Int32(reply.header.nlmsg_flags) & NLM_F_DUMP_INTR != 0 { complete = false }
                switch Int32(reply.header.nlmsg_type) {
                case NLMSG_NOOP: continue
                case NLMSG_ERROR:
                    try Acknowledgement(errorMessage: reply).check(message)
                    return complete
                case NLMSG_DONE:
                    try Acknowledgement(doneMessage: reply).check(message)
                    return complete
                default:
                    read(
                        NetlinkReply(
                            type: Int(reply.header.nlmsg_type), flags: Int32(reply.header.nlmsg_flags),
                            payload: reply.payload))
                }
            }
            if !rest.isEmpty { complete = false }
        }
    }

    /// One datagram of the kernel into the buffer.
    private func receive(_ call: String) throws(SystemError) -> Int {
        let number = descriptor.rawValue
        while true {
            var sender = sockaddr_nl()
            var vector = iovec(iov_base: received.bytes.baseAddress, iov_len: received.bytes.count)
            var flags: Int32 = 0
            let count = try systemCall("recvmsg", call) {
                withUnsafeMutablePointer(to: &sender) { senderPointer in
                    withUnsafeMutablePointer(to: &vector) { vectorPointer in
                        var request = msghdr()
                        request.msg_name = UnsafeMutableRawPointer(senderPointer)
                        request.msg_namelen = socklen_t(MemoryLayout<sockaddr_nl>.size)
                        request.msg_iov = vectorPointer
                        request.msg_iovlen = 1
                        let result = recvmsg(number, &request, 0)
                        flags = request.msg_flags
                        return result
                    }
                }
            }
            if flags & Int32(MSG_TRUNC) != 0 {
                throw SystemError(
                    call: call, errno: Errno(EMSGSIZE), detail: "the kernel's answer is longer than expected")
            }
            if count == 0 { throw SystemError(call: call, errno: Errno(ECONNRESET), detail: "the other side hung up") }
            if checksSender, sender.nl_family != sa_family_t(AF_NETLINK) || sender.nl_pid != 0 { continue }
            return count
        }
    }
}

/// A message as it stands in the buffer.
struct RawNetlinkMessage {
    let header: nlmsghdr
    let payload: UnsafeRawBufferPointer
}

/// Splits the next message off; nil at the end or at one that does not fit.
func nextMessage(_ rest: inout UnsafeRawBufferPointer) -> RawNetlinkMessage? {
    let size = MemoryLayout<nlmsghdr>.size
    guard rest.count >= size else { return nil }
    let header = rest.loadUnaligned(as: nlmsghdr.self)
    let length = Int(header.nlmsg_len)
    guard length >= size, length <= rest.count else { return nil }
    let payload = UnsafeRawBufferPointer(rebasing: rest[size..<length])
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst((length + 3) & ~3))
    return RawNetlinkMessage(header: header, payload: payload)
}
