import CLinux
import Glibc
import LinuxSystem

/// The two UDP sockets of a device, IPv4 and IPv6 on one port (D10).
///
/// Made by the monitor only: the worker has no capability, and SO_MARK, SO_RCVBUFFORCE and ports below 1024
/// want one. A host without one of the families gets one socket.
struct UDPSocketPair: ~Copyable {
    /// Descriptor numbers, -1 for a family that this host does not speak; closed at the end.
    let ipv4: Int32
    let ipv6: Int32
    /// The port both are bound to, host byte order.
    let port: UInt16

    /// Enough for the trains of a busy second; the default drops a sixth of the datagrams under load.
    private static let bufferBytes: Int32 = 7 << 20
    /// A random port that is free for IPv4 may be taken for IPv6.
    private static let randomPortAttempts = 100

    /// - Parameters:
    ///   - port: 0 lets the kernel choose.
    ///   - mark: SO_MARK of every outgoing packet, 0 for none.
    /// - Throws: EADDRINUSE and others of socket(2), setsockopt(2), bind(2). SO_REUSEADDR is never set: two
    ///   engines on one port would steal each other's packets.
    static func open(port: UInt16, mark: UInt32) throws(SystemError) -> UDPSocketPair {
        var attempt = 1
        while true {
            do throws(SystemError) {
                return try openOnce(port: port, mark: mark)
            } catch {
                guard port == 0, error.errno.rawValue == EADDRINUSE, attempt < randomPortAttempts else { throw error }
                attempt += 1
            }
        }
    }

    private static func openOnce(port: UInt16, mark: UInt32) throws(SystemError) -> UDPSocketPair {
        let ipv4 = try bind(AF_INET, port: port, mark: mark)
        do throws(SystemError) {
            var chosen = port
            if ipv4 >= 0 { chosen = try boundPort(ipv4) }
            let ipv6 = try bind(AF_INET6, port: chosen, mark: mark)
            guard ipv4 >= 0 || ipv6 >= 0 else {
                throw SystemError(call: "socket", object: "UDP", errno: Errno(EAFNOSUPPORT))
            }
            if ipv4 < 0 { chosen = try boundPort(ipv6) }
            return UDPSocketPair(ipv4: ipv4, ipv6: ipv6, port: chosen)
        } catch {
            if ipv4 >= 0 { close(ipv4) }
            throw error
        }
    }

    private init(ipv4: Int32, ipv6: Int32, port: UInt16) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.port = port
    }

    deinit {
        if ipv4 >= 0 { close(ipv4) }
        if ipv6 >= 0 { close(ipv6) }
    }

    /// Gives both another SO_MARK.
    borrowing func setMark(_ mark: UInt32) throws(SystemError) {
        for socket in [ipv4, ipv6] where socket >= 0 {
            try UDPSocketPair.set(socket, SOL_SOCKET, SO_MARK, Int32(bitPattern: mark), "SO_MARK")
        }
    }

    /// The bound socket's number; -1 when the host does not speak the family.
    private static func bind(_ family: Int32, port: UInt16, mark: UInt32) throws(SystemError) -> Int32 {
        let name = family == AF_INET ? "UDP over IPv4" : "UDP over IPv6"
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let number: Int32
        do throws(SystemError) {
            number = try systemCall("socket", name) { Glibc.socket(family, type, Int32(IPPROTO_UDP)) }
        } catch {
            if error.errno.rawValue == EAFNOSUPPORT { return -1 }
            throw error
        }
        let socket = FileDescriptor(owning: number)
        try configure(number, family, mark: mark)
        do throws(SystemError) {
            try systemCall("bind", "\(name), port \(port)") { bindAny(number, family, port) }
        } catch {
            // net.ipv6.conf.all.disable_ipv6: the socket is there, the address is not.
            if family == AF_INET6, error.errno.rawValue == EADDRNOTAVAIL { return -1 }
            throw error
        }
        return socket.release()
    }

    private static func configure(_ socket: Int32, _ family: Int32, mark: UInt32) throws(SystemError) {
        if mark != 0 { try set(socket, SOL_SOCKET, SO_MARK, Int32(bitPattern: mark), "SO_MARK") }
        for (force, fallback) in [(SO_RCVBUFFORCE, SO_RCVBUF), (SO_SNDBUFFORCE, SO_SNDBUF)] {
            if (try? set(socket, SOL_SOCKET, force, bufferBytes, "SO_RCVBUFFORCE")) == nil {
                // Without CAP_NET_ADMIN the kernel caps it at net.core.rmem_max: less, not nothing.
                try? set(socket, SOL_SOCKET, fallback, bufferBytes, "SO_RCVBUF")
            }
        }
        if family == AF_INET {
            // OMIT: DF clear, and trains above the route's MTU are fragmented instead of refused (D6).
            try set(socket, Int32(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_OMIT, "IP_MTU_DISCOVER")
            try set(socket, Int32(IPPROTO_IP), IP_PKTINFO, 1, "IP_PKTINFO")
            try set(socket, Int32(IPPROTO_IP), IP_RECVTOS, 1, "IP_RECVTOS")
        } else {
            let level = Int32(IPPROTO_IPV6)
            try set(socket, level, IPV6_V6ONLY, 1, "IPV6_V6ONLY")
            try set(socket, level, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT, "IPV6_MTU_DISCOVER")
            try set(socket, level, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO")
            try set(socket, level, IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS")
        }
        // Kernels before 5.0 deliver datagrams one by one; that works, too.
        try? set(socket, Int32(IPPROTO_UDP), UDP_GRO, 1, "UDP_GRO")
    }

    private static func set(
        _ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32, _ name: StaticString
    ) throws(SystemError) {
        var value = value
        try systemCall("setsockopt", "\(name)") {
            setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    private static func bindAny(_ socket: Int32, _ family: Int32, _ port: UInt16) -> Int32 {
        if family == AF_INET {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            return withSocketAddress(&address) { Glibc.bind(socket, $0, $1) }
        }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        return withSocketAddress(&address) { Glibc.bind(socket, $0, $1) }
    }

    private static func boundPort(_ socket: Int32) throws(SystemError) -> UInt16 {
        var address = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        try systemCall("getsockname") {
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    getsockname(socket, __SOCKADDR_ARG(__sockaddr__: $0), &size)
                }
            }
        }
        // sin_port and sin6_port share their place.
        return UInt16(bigEndian: address.sin6_port)
    }
}
