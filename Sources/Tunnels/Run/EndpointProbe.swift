import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Netlink

/// Asks the network about an endpoint that stays silent: is there a way to it, and does anybody refuse?
///
/// What is sent has the size and type of a handshake initiation and random content: a WireGuard peer drops it
/// without a word, and on the wire it is nothing but WireGuard. Only after a wait has failed.
final class EndpointProbe {
    struct Refusal {
        let text: String
        let cure: String
    }

    /// A neighbour that does not answer is given up by the kernel after three seconds: so long before the end of
    /// a wait the question has to be asked.
    static let leadSeconds = 3.5
    /// How long an ICMP error may still take at the end, in milliseconds.
    private static let patience: Int32 = 300

    private let endpoint: Endpoint
    private var socket: FileDescriptor?
    private var refusalAtOnce: Refusal?

    /// Asks.
    init(_ endpoint: Endpoint) {
        self.endpoint = endpoint
        let family = endpoint.address.isIPv4 ? AF_INET : AF_INET6
        let number = Glibc.socket(family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { return }
        let opened = FileDescriptor(owning: number)
        guard EndpointProbe.connect(opened, endpoint) == 0 else {
            refusalAtOnce = EndpointProbe.describe(errno, endpoint)
            return
        }
        var initiation = [UInt8](repeating: 0, count: 148)
        initiation.withUnsafeMutableBytes { fillRandom($0) }
        initiation.replaceSubrange(0..<4, with: [1, 0, 0, 0])
        // With IP_RECVERR every ICMP error counts, not only "port unreachable".
        var on: Int32 = 1
        let level = endpoint.address.isIPv4 ? Int32(IPPROTO_IP) : Int32(IPPROTO_IPV6)
        setsockopt(
            number, level, endpoint.address.isIPv4 ? IP_RECVERR : IPV6_RECVERR, &on, socklen_t(MemoryLayout<Int32>.size)
        )
        if send(number, &initiation, initiation.count, Int32(MSG_NOSIGNAL)) < 0 {
            refusalAtOnce = EndpointProbe.describe(errno, endpoint)
        }
        socket = consume opened
    }

    /// What the network has said; nil when nobody refuses.
    func refusal() -> Refusal? {
        if let refusalAtOnce { return refusalAtOnce }
        guard let opened = socket.take() else { return nil }
        let number = opened.rawValue
        guard (try? waitReadable(number, milliseconds: Self.patience)) == true else { return nil }
        var byte: UInt8 = 0
        guard recv(number, &byte, 1, Int32(MSG_DONTWAIT)) < 0 else { return nil }
        return EndpointProbe.describe(errno, endpoint)
    }

    private static func describe(_ error: Int32, _ endpoint: Endpoint) -> Refusal? {
        let name = Errno(error).name
        switch error {
        case ENETUNREACH:
            return Refusal(
                text: "there is no route to \(endpoint.address) (\(name))", cure: "see ip route get \(endpoint.address)"
            )
        case EHOSTUNREACH:
            return Refusal(
                text: "\(endpoint.address) cannot be reached (\(name), from the network or for want of a neighbour)",
                cure: "see ip route get \(endpoint.address), and whether that host is up")
        case ECONNREFUSED:
            return Refusal(
                text:
                    "\(endpoint.address) answers that nobody listens on UDP port \(endpoint.port) (ICMP port unreachable)",
                cure: "check the port in Endpoint=, and that WireGuard runs there")
        case EACCES, EPERM:
            return Refusal(
                text: "a packet filter refuses UDP to \(endpoint) (\(name))",
                cure: "see nft list ruleset here, and the firewall on the way")
        case EAGAIN, 0: return nil
        default:
            return Refusal(
                text: "sending to \(endpoint) fails: \(Errno(error))", cure: "see ip route get \(endpoint.address)")
        }
    }

    private static func connect(_ socket: borrowing FileDescriptor, _ endpoint: Endpoint) -> Int32 {
        let number = socket.rawValue
        return endpoint.socketAddress.withUnsafeBytes { bytes in
            let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return Glibc.connect(number, __CONST_SOCKADDR_ARG(__sockaddr__: address), socklen_t(bytes.count))
        }
    }
}
