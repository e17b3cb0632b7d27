import CLinux
import Glibc
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// What the server asks the device for. Called on the control thread.
protocol UAPIRequestHandler: AnyObject {
    /// Writes the answer to `get=1` without its `errno` line.
    func describe(into answer: inout SecretText)
    /// Applies one `set=1`; nil is success.
    func apply(_ change: DeviceChange) -> Errno?
    /// Around each request, so that the monitor notices one that is never answered; nil asks for the whole device.
    func requestBegins(changing change: DeviceChange?)
    func requestEnds()
}

/// The server side of WireGuard's cross-platform configuration protocol (U1 to U5).
///
/// Lives on the control thread, on the listening socket that the monitor made. Every client is non-blocking and
/// has five seconds for each bit of progress once it has begun a request or owes us reading an answer; an idle
/// client may stay. One request is handled at a time and completely, so a `get` never shows half a `set` (U5).
/// Bounded: connections, bytes of a request (the parser's limits), and one answer in flight per connection.
final class UAPIServer {
    static let connectionLimit = 32
    static let readBytes = 16 << 10
    static let progressNanoseconds: UInt64 = 5_000_000_000

    private let listener: Int32
    private let poll: Int32
    private let firstToken: UInt64
    private let interfaceIndex: (String) -> UInt32?
    private var connections: [UAPIConnection?]
    private var input = SecretText(capacity: UAPIServer.readBytes)

    /// - Parameters:
    ///   - poll: the control thread's epoll descriptor; clients are added under tokens from `firstToken` on.
    ///   - interfaceIndex: the index of an interface that a link-local endpoint names as its scope.
    init(listener: Int32, poll: Int32, firstToken: UInt64, interfaceIndex: @escaping (String) -> UInt32?) {
        self.listener = listener
        self.poll = poll
        self.firstToken = firstToken
        self.interfaceIndex = interfaceIndex
        connections = Array(repeating: nil, count: UAPIServer.connectionLimit)
    }

    /// Whether a token belongs to a client.
    func owns(token: UInt64) -> Bool {
        token >= firstToken && token - firstToken < UInt64(UAPIServer.connectionLimit)
    }

    /// When a client's time is over; nil when no one owes anything.
    var deadline: BootTime? {
        var earliest: BootTime?
        for connection in connections {
            guard let deadline = connection?.deadline else { continue }
            earliest = min(earliest ?? deadline, deadline)
        }
        return earliest
    }

    /// The listener is readable.
    func accept() {
        while true {
            let number = accept4(
                listener, __SOCKADDR_ARG(__sockaddr__: nil), nil,
                Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue))
            if number < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                return
            }
            let slot = connections.firstIndex { $0 == nil } ?? dropLongestIdle()
            connections[slot] = UAPIConnection(FileDescriptor(owning: number), interfaceIndex: interfaceIndex)
            watch(slot, EPOLL_CTL_ADD)
        }
    }

    /// A client is readable, writable or gone.
    func serve(token: UInt64, _ handler: any UAPIRequestHandler) {
        let slot = Int(token - firstToken)
        guard connections.indices.contains(slot), let connection = connections[slot] else { return }
        let wasBlocked = connection.isBlockedOnWriting
        if !connection.advance(handler, input: &input) {
            connections[slot] = nil
        } else if connection.isBlockedOnWriting != wasBlocked {
            watch(slot, EPOLL_CTL_MOD)
        }
    }

    /// Drops the clients whose time is over.
    func expire(now: BootTime) {
        for slot in connections.indices {
            if let deadline = connections[slot]?.deadline, deadline <= now { connections[slot] = nil }
        }
    }

    private func dropLongestIdle() -> Int {
        var longest = 0
        for slot in connections.indices {
            guard let connection = connections[slot], let other = connections[longest] else { continue }
            if connection.lastProgress < other.lastProgress { longest = slot }
        }
        connections[longest] = nil
        return longest
    }

    private func watch(_ slot: Int, _ operation: Int32) {
        guard let connection = connections[slot] else { return }
        var event = epoll_event()
        // While an answer waits to be read nothing more is taken in: memory stays bounded.
        event.events = connection.isBlockedOnWriting ? EPOLLOUT.rawValue : EPOLLIN.rawValue
        event.data.u64 = firstToken + UInt64(slot)
        if epoll_ctl(poll, operation, connection.descriptor, &event) != 0 { connections[slot] = nil }
    }
}
