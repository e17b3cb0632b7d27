import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

@Suite struct UDPSocketPairTests {
    private func option(_ socket: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket, level, name, &value, &size)
        return value
    }

    @Test
    func `D6, D10: fragments are allowed, nobody shares the port, and both families tell where a datagram came to`()
        throws
    {
        let pair = try UDPSocketPair.open(port: 0, mark: 0)
        #expect(option(pair.ipv4, Int32(IPPROTO_IP), IP_MTU_DISCOVER) == IP_PMTUDISC_OMIT)
        for name in [IP_PKTINFO, IP_RECVTOS] { #expect(option(pair.ipv4, Int32(IPPROTO_IP), name) == 1) }
        for socket in [pair.ipv4, pair.ipv6] where socket >= 0 {
            #expect(option(socket, SOL_SOCKET, SO_REUSEADDR) == 0 && option(socket, SOL_SOCKET, SO_REUSEPORT) == 0)
            #expect(option(socket, Int32(IPPROTO_UDP), UDP_GRO) == 1)
            #expect(swg_fcntl(socket, F_GETFL, 0) & O_NONBLOCK != 0)
            #expect(swg_fcntl(socket, F_GETFD, 0) & FD_CLOEXEC != 0)
        }
        guard pair.ipv6 >= 0 else { return }
        let level = Int32(IPPROTO_IPV6)
        #expect(option(pair.ipv6, level, IPV6_MTU_DISCOVER) == IPV6_PMTUDISC_OMIT)
        for name in [IPV6_V6ONLY, IPV6_RECVPKTINFO, IPV6_RECVTCLASS] { #expect(option(pair.ipv6, level, name) == 1) }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `D10: both have the mark and large buffers, and another mark later`() throws {
        let pair = try UDPSocketPair.open(port: 0, mark: 0xcafe)
        for socket in [pair.ipv4, pair.ipv6] where socket >= 0 {
            #expect(option(socket, SOL_SOCKET, SO_MARK) == 0xcafe)
            // The kernel doubles what it is told.
            for name in [SO_RCVBUF, SO_SNDBUF] { #expect(option(socket, SOL_SOCKET, name) == 2 * (7 << 20)) }
        }
        try pair.setMark(0x8000_0001)
        for socket in [pair.ipv4, pair.ipv6] where socket >= 0 {
            #expect(UInt32(bitPattern: option(socket, SOL_SOCKET, SO_MARK)) == 0x8000_0001)
        }
    }

    /// Two ports are all there is, and IPv4 may have both.
    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `D10: a random port that is taken for IPv6 is given up for another, and not for ever`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            guard unshare(CLONE_NEWNET) == 0 else { exit(1) }
            let range = try FileDescriptor.open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY)
            guard write(range.rawValue, "50000 50001", 11) == 11 else { exit(2) }
            let first = try takeForIPv6(50000)
            for _ in 0..<40 {
                let pair = try UDPSocketPair.open(port: 0, mark: 0)
                if pair.port != 50001 || pair.ipv4 < 0 || pair.ipv6 < 0 { exit(4) }
            }
            let second = try takeForIPv6(50001)
            do throws(SystemError) {
                _ = try UDPSocketPair.open(port: 0, mark: 0)
                exit(5)
            } catch {
                exit(error.errno.rawValue == EADDRINUSE && first.rawValue >= 0 && second.rawValue >= 0 ? 0 : 6)
            }
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `D10: a wanted port that one of the families has not free is refused at once, and the other given back`()
        async
    {
        await #expect(processExitsWith: .exitCode(0)) {
            guard unshare(CLONE_NEWNET) == 0 else { exit(1) }
            let other = try takeForIPv6(50000)
            do throws(SystemError) {
                _ = try UDPSocketPair.open(port: 50000, mark: 0)
                exit(2)
            } catch {
                if error.errno.rawValue != EADDRINUSE || other.rawValue < 0 { exit(3) }
            }
            // A descriptor that was left open would have it still.
            let number = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(50000).bigEndian
            exit(withSocketAddress(&address) { bind(number, $0, $1) } == 0 ? 0 : 4)
        }
    }
}

/// A socket of somebody else's on a port of IPv6.
private func takeForIPv6(_ port: UInt16) throws -> FileDescriptor {
    let socket = FileDescriptor(
        owning: try systemCall("socket") { Glibc.socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0) })
    let number = socket.rawValue
    var on: Int32 = 1
    setsockopt(number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    try systemCall("bind") { withSocketAddress(&address) { bind(number, $0, $1) } }
    return socket
}
