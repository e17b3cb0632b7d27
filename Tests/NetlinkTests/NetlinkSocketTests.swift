import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces
import Testing

@testable import Netlink

struct NetlinkSocketTests {
    private func question() -> NetlinkMessage {
        var message = NetlinkMessage("TEST", "something", type: RTM_GETLINK, flags: 0)
        message.putHeader(ifinfomsg())
        return message
    }

    private func refusal(_ answer: @escaping (ScriptedPeer.Request) -> [[UInt8]]) -> SystemError? {
        let peer = ScriptedPeer(answer)
        let socket = peer.socket()
        return systemError { () throws(SystemError) in try socket.change(question()) }
    }

    @Test func `P6: errno and the kernel's words, from short and full acknowledgements`() {
        for capped in [true, false] {
            let error = refusal {
                [acknowledgement($0, errno: EINVAL, text: "mtu greater than device maximum", capped: capped)]
            }
            #expect(error?.errno == Errno(EINVAL) && error?.detail == "mtu greater than device maximum")
            #expect(error?.call == "TEST" && error?.object == "something")
        }
        let bare = refusal { [acknowledgement($0, errno: EPERM)] }
        #expect(bare?.errno == Errno(EPERM) && bare?.detail == nil)
    }

    @Test func `answers to older requests and bytes that are no message are passed over`() {
        let error = refusal { request in
            let stale = ScriptedPeer.Request(
                bytes: Array(request.bytes[..<8]) + littleEndian(request.sequence &- 1) + Array(request.bytes[12...]))
            return [acknowledgement(stale, errno: EPERM), [1, 2, 3], acknowledgement(request, errno: ENOENT)]
        }
        #expect(error?.errno == Errno(ENOENT))
    }

    @Test func `an answer longer than the buffer is an error, not a half`() {
        let error = refusal { request in
            [netlinkMessage(RTM_NEWLINK, sequence: request.sequence, Array(repeating: 0, count: 70_000))]
        }
        #expect(error?.errno == Errno(EMSGSIZE))
    }

    @Test func `a peer that hangs up is an error`() {
        let peer = ScriptedPeer { _ in [] }
        let error = refusal { _ in [[]] }
        #expect(error?.errno == Errno(ECONNRESET))
        _ = peer.socket()
    }

    @Test func `malformed attributes end the walk and never leave the message`() {
        let good = attribute(1, [1, 0, 0, 0])
        let broken: [[UInt8]] = [
            [3, 0, 1, 0], [0, 0, 0, 0], [255, 255, 1, 0], [8, 0, 1], [8, 0, 1, 0, 9, 9],
            good + [20, 0, 2, 0, 1, 1, 1, 1],
        ]
        for bytes in broken {
            let count = bytes.withUnsafeBytes { NetlinkAttributes(payload: $0).reduce(0) { count, _ in count + 1 } }
            #expect(count == (bytes.count > 8 ? 1 : 0))
        }
    }

    @Test func `random bytes as answers never trap`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let count = Int.random(in: 0...200, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Plausible lengths get deeper.
            if count > 4 { (bytes[0], bytes[1]) = (UInt8(count & 0xfc), 0) }
            bytes.withUnsafeBytes { buffer in
                for type in [RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWRULE] {
                    let reply = NetlinkReply(type: type, flags: 0, payload: buffer)
                    _ = Link(reply)
                    _ = LinkAddress(reply)
                    _ = Route(reply)
                    _ = RoutingRule(reply)
                }
                var reader = DeviceStatusReader()
                reader.read(NetlinkReply(type: 28, flags: 0, payload: buffer))
                var rest = buffer
                while let message = nextMessage(&rest) {
                    _ = Acknowledgement(errorMessage: message)
                    _ = Acknowledgement(doneMessage: message)
                }
            }
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `P5: a message that another process sends to our port is not taken for the kernel's`() throws {
        let fresh = try TestNamespace()
        let number = fresh.route.socket.descriptor.rawValue
        var ours = sockaddr_nl()
        var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
        _ = withUnsafeMutablePointer(to: &ours) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(number, __SOCKADDR_ARG(__sockaddr__: $0), &length)
            }
        }
        // The forger refuses every sequence number that can come next.
        let forger = try fresh.namespace.openSocket(AF_NETLINK, Int32(SOCK_RAW.rawValue), NETLINK_ROUTE)
        var sent = 0
        for ahead in 1...3 {
            let fake = netlinkMessage(
                Int(NLMSG_ERROR), flags: NLM_F_CAPPED, sequence: fresh.route.socket.sequence &+ UInt32(ahead),
                littleEndian(-EPERM) + Array(repeating: 0, count: 16))
            sent += withUnsafePointer(to: &ours) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(forger.rawValue, fake, fake.count, 0, __CONST_SOCKADDR_ARG(__sockaddr__: $0), length) > 0
                        ? 1 : 0
                }
            }
        }
        #expect(sent == 3, "the kernel let the forgeries through")
        let index = try fresh.index(of: "lo")
        try fresh.route.setLink(index, up: true)
    }
}
