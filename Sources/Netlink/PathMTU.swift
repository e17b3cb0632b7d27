import CLinux
import Glibc
import IPAddressing
import LinuxSystem

/// How large a packet on the way to an endpoint may be, in the calling thread's network namespace.
///
/// Asked of a connected socket and not of rtnetlink: connect(2) of a UDP socket looks the way up, by rules, marks and
/// learnt path MTUs as its packets would, without the kernel's lock of all network configuration, for which rtnetlink
/// waits. Nothing is sent. `ip route get ADDRESS [mark N]`; IP_MTU of ip(7), IPV6_MTU of ipv6(7).
public enum PathMTU {
    /// Bytes; nil when there is no way there.
    ///
    /// - Parameter mark: the tunnel's FwMark, by which rules may send its packets elsewhere; 0 for none.
    public static func bytes(to endpoint: Endpoint, mark: UInt32 = 0) throws(SystemError) -> UInt32? {
        let isIPv4 = endpoint.address.isIPv4
        let socket = FileDescriptor(
            owning: try systemCall("socket", "\(endpoint)") {
                Glibc.socket(
                    isIPv4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            })
        let number = socket.rawValue
        var value = Int32(bitPattern: mark)
        var length = socklen_t(MemoryLayout<Int32>.size)
        if mark != 0, setsockopt(number, SOL_SOCKET, SO_MARK, &value, length) != 0, errno != EPERM {
            // Who may not mark, as without root, asks for the unmarked way: that is what the tunnel's packets take then.
            throw SystemError(call: "setsockopt(SO_MARK)", object: "\(endpoint)", errno: .current)
        }
        let address = endpoint.socketAddress
        do throws(SystemError) {
            try systemCall("connect", "\(endpoint)") {
                address.withUnsafeBytes { bytes in
                    connect(
                        number,
                        __CONST_SOCKADDR_ARG(__sockaddr__: bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)),
                        socklen_t(bytes.count))
                }
            }
        } catch {
            switch error.errno.rawValue {
            // Unreachable, blackhole and prohibit routes answer with these.
            case ENETUNREACH, EHOSTUNREACH, EINVAL, EACCES, EADDRNOTAVAIL: return nil
            default: throw error
            }
        }
        let (level, option) = isIPv4 ? (Int32(IPPROTO_IP), IP_MTU) : (Int32(IPPROTO_IPV6), IPV6_MTU)
        try systemCall("getsockopt(IP_MTU)", "\(endpoint)") { getsockopt(number, level, option, &value, &length) }
        return UInt32(bitPattern: value)
    }
}
