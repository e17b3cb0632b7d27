import LinuxSystem

/// The UDP sockets of a device, over the lives of all its workers. Monitor only.
///
/// One pair is in use. A request for another port makes a second one, and the first lives on until the worker says that
/// it has taken the new one: a worker that dies before that is followed by one that wants the first again, and gets it.
/// So no port is lost to somebody else between two workers, and an abandoned one is given back.
struct SocketExchange: ~Copyable {
    private var current: UDPSocketPair?
    private var previous: UDPSocketPair?
    private var serial: UInt32 = 0

    /// What a worker gets: the numbers belong to the exchange, and are good until its next change.
    struct Offer {
        let ipv4: Int32
        let ipv6: Int32
        let port: UInt16
        let serial: UInt32

        var descriptors: [Int32] { [ipv4, ipv6].filter { $0 >= 0 } }

        var answer: MonitorRecord {
            let families =
                (ipv4 >= 0 ? MonitorRecord.ipv4Flag : 0) | (ipv6 >= 0 ? MonitorRecord.ipv6Flag : 0)
            return MonitorRecord(.sockets, second: UInt64(port), third: families, serial: serial)
        }
    }

    /// Both families on one port (0: any that is free) with one mark.
    ///
    /// - Throws: what the bind said; the pair in use stays as it is.
    mutating func open(port: UInt16, mark: UInt32) throws(SystemError) -> Offer {
        // Who died before it took the new pair is followed by one that wants the old again.
        if port != 0, previous?.port == port { swap(&current, &previous) }
        // A port of its own cannot be bound twice: same port, so only the mark can differ.
        if let present = current?.port, port == present {
            try current?.setMark(mark)
        } else {
            let fresh = try UDPSocketPair.open(port: port, mark: mark)
            previous = current.take()
            current = consume fresh
        }
        serial &+= 1
        return Offer(
            ipv4: current?.ipv4 ?? -1, ipv6: current?.ipv6 ?? -1, port: current?.port ?? 0, serial: serial)
    }

    /// The worker uses what it was offered under `serial`, and nothing of before.
    mutating func wasTaken(serial taken: UInt32) { if taken == serial { previous = nil } }

    /// The interface is down: no socket is wanted.
    mutating func close() {
        current = nil
        previous = nil
    }
}
