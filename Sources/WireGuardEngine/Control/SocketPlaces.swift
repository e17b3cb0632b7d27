import CLinux
import Glibc
import LinuxSystem

/// The worker's two UDP descriptors, whose numbers never change: the sockets behind them do.
///
/// All three threads use the numbers. When the monitor hands over a new pair, control puts it in their place with
/// dup3, which is atomic for whoever is about to send; a place without a socket holds an eventfd, on which every
/// send fails with ENOTSOCK. Control only.
struct SocketPlaces: ~Copyable {
    let ipv4: Int32
    let ipv6: Int32
    /// How rx's epoll names them.
    enum Token: UInt64 {
        case ipv4 = 1
        case ipv6
    }

    private let placeholder: EventCounter
    private let receivePoll: Int32

    /// - Parameter receivePoll: rx's epoll descriptor, in which the sockets are watched.
    init(ipv4: Int32, ipv6: Int32, placeholder: consuming EventCounter, receivePoll: Int32) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.placeholder = placeholder
        self.receivePoll = receivePoll
    }

    /// Two numbers that can be replaced later.
    static func reserve(_ placeholder: borrowing EventCounter) throws(SystemError) -> (Int32, Int32) {
        let first = try placeholder.descriptor.duplicate()
        let second = try placeholder.descriptor.duplicate()
        return (first.release(), second.release())
    }

    /// Takes the descriptors over; -1 for a family that there is not.
    func install(ipv4 new4: Int32, ipv6 new6: Int32) {
        replace(ipv4, new4, token: .ipv4)
        replace(ipv6, new6, token: .ipv6)
    }

    /// No sockets: the interface is down.
    func remove() { install(ipv4: -1, ipv6: -1) }

    private func replace(_ place: Int32, _ fresh: Int32, token: Token) {
        // Explicitly: the monitor may hold the old socket a little longer, and events of it would go on.
        _ = epoll_ctl(receivePoll, EPOLL_CTL_DEL, place, nil)
        if fresh < 0 {
            dup3(placeholder.descriptor.rawValue, place, O_CLOEXEC)
            return
        }
        dup3(fresh, place, O_CLOEXEC)
        close(fresh)
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.u64 = token.rawValue
        _ = epoll_ctl(receivePoll, EPOLL_CTL_ADD, place, &event)
    }
}
