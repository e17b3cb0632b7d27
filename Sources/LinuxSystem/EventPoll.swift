import CLinux
import Glibc

/// Waiting for many descriptors. epoll(7).
public struct EventPoll: ~Copyable, Sendable {
    public let descriptor: FileDescriptor

    public struct Interest: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let readable = Interest(rawValue: EPOLLIN.rawValue)
        public static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        public static let priority = Interest(rawValue: EPOLLPRI.rawValue)
        /// Reported whether asked for or not.
        public static let error = Interest(rawValue: EPOLLERR.rawValue)
        /// Reported whether asked for or not.
        public static let hangUp = Interest(rawValue: EPOLLHUP.rawValue)
        public static let edgeTriggered = Interest(rawValue: EPOLLET.rawValue)
    }

    public struct Event: Sendable {
        public let token: UInt64
        public let interest: Interest
    }

    public init() throws(SystemError) {
        descriptor = FileDescriptor(owning: try systemCall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    }

    public borrowing func add(_ number: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_ADD, number, interest, token)
    }

    public borrowing func modify(_ number: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_MOD, number, interest, token)
    }

    public borrowing func remove(_ number: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, number, [], 0)
    }

    private borrowing func control(
        _ operation: Int32, _ number: Int32, _ interest: Interest, _ token: UInt64
    ) throws(SystemError) {
        var event = epoll_event()
        event.events = interest.rawValue
        event.data.u64 = token
        let poll = descriptor.rawValue
        try systemCall("epoll_ctl", "descriptor \(number)") { epoll_ctl(poll, operation, number, &event) }
    }

    /// Waits, and calls `body` for each event. Negative milliseconds wait for ever. An interrupted wait
    /// returns no event.
    public borrowing func wait(
        timeoutMilliseconds: Int32 = -1, _ body: (Event) throws(SystemError) -> Void
    ) throws(SystemError) {
        let poll = descriptor.rawValue
        var events = InlineArray<16, epoll_event>(repeating: epoll_event())
        let capacity = Int32(events.count)
        var span = events.mutableSpan
        let count = span.withUnsafeMutableBufferPointer { buffer in
            epoll_wait(poll, buffer.baseAddress, capacity, timeoutMilliseconds)
        }
        if count < 0 {
            if Glibc.errno == EINTR { return }
            throw SystemError(call: "epoll_wait", errno: .current)
        }
        for index in 0..<Int(count) {
            let event = events[index]
            try body(Event(token: event.data.u64, interest: Interest(rawValue: event.events)))
        }
    }
}
