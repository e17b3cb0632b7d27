import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Testing

@testable import Netlink

/// Dumps and acknowledgements that go wrong on the way: what was lost, cut, left over or refused in the middle never
/// becomes half a table, nor a success.
struct TroubledAnswerTests {
    /// RTM_NEWLINK for one interface.
    private func link(_ index: Int32, _ name: String, _ request: ScriptedPeer.Request, flags: Int32 = 0) -> [UInt8] {
        netlinkMessage(
            RTM_NEWLINK, flags: NLM_F_MULTI | flags, sequence: request.sequence,
            [0, 0, 0, 0] + littleEndian(index) + littleEndian(UInt32(1)) + littleEndian(UInt32(0))
                + attribute(Int(IFLA_IFNAME), Array(name.utf8) + [0]))
    }

    private func stale(_ request: ScriptedPeer.Request) -> ScriptedPeer.Request {
        ScriptedPeer.Request(
            bytes: Array(request.bytes[..<8]) + littleEndian(request.sequence &- 1) + Array(request.bytes[12...]))
    }

    /// The whole table of two interfaces.
    private func table(_ request: ScriptedPeer.Request) -> [[UInt8]] {
        [link(1, "lo", request), link(2, "wg0", request), done(request)]
    }

    /// Names that `links` found, or its error; and how often it asked.
    private func links(
        _ answer: @escaping (ScriptedPeer.Request, Int) -> [[UInt8]]
    ) -> (names: [String]?, error: SystemError?, requests: Int) {
        let count = Counter()
        let peer = ScriptedPeer { request in
            count.value += 1
            return answer(request, count.value)
        }
        var names: [String]?
        var refusal: SystemError?
        do {
            let route = RouteNetlink(peer.socket())
            refusal = systemError { () throws(SystemError) in names = try route.links().map(\.name) }
        }
        return (names, refusal, peer.finish().count)
    }

    private func change(_ answer: @escaping (ScriptedPeer.Request) -> [[UInt8]]) -> SystemError? {
        let peer = ScriptedPeer(answer)
        let route = RouteNetlink(peer.socket())
        return systemError { () throws(SystemError) in try route.setLink(7, up: true) }
    }

    @Test func `a dump that ends with an error is that error with the kernel's words, and no table`() {
        let (names, error, requests) = links { request, _ in
            [link(1, "lo", request), done(request, errno: ENOMEM, text: "no room for wg0")]
        }
        #expect(names == nil && requests == 1)
        #expect(error?.errno == Errno(ENOMEM) && error?.detail == "no room for wg0")
        #expect(error?.call == "RTM_GETLINK")
        let refused = links { request, _ in [acknowledgement(request, errno: EPERM)] }
        #expect(refused.names == nil && refused.error?.errno == Errno(EPERM) && refused.requests == 1)
    }

    @Test(arguments: [ENOBUFS, EBUSY])
    func `a dump that lost messages, or met the rest of another, is read again from the start`(errno: Int32) {
        let mended = links { request, count in
            count > 3
                ? table(request)
                : [link(1, "lo", request), acknowledgement(request, errno: errno), link(9, "gone", request)]
        }
        #expect(mended.names == ["lo", "wg0"] && mended.requests == 4)
        let never = links { request, _ in [link(1, "lo", request), done(request, errno: errno)] }
        #expect(never.names == nil && never.error?.errno == Errno(errno))
        #expect(never.requests == NetlinkSocket.dumpAttempts)
    }

    @Test func `an interrupted dump is read again, wherever the kernel says so; a mix of troubles ends as the last`() {
        let early = links { request, count in
            count > 1
                ? table(request)
                : [link(1, "lo", request, flags: NLM_F_DUMP_INTR), link(3, "wg1", request), done(request)]
        }
        #expect(early.names == ["lo", "wg0"] && early.requests == 2)
        let late = links { request, count in
            count > 1 ? table(request) : [link(1, "lo", request), done(request, flags: NLM_F_DUMP_INTR)]
        }
        #expect(late.names == ["lo", "wg0"] && late.requests == 2)
        let mixed = links { request, count in
            count == 1
                ? [acknowledgement(request, errno: ENOBUFS)] : [done(request, flags: NLM_F_DUMP_INTR)]
        }
        #expect(mixed.error?.errno == Errno(EAGAIN) && mixed.error?.detail?.contains("changed") == true)
    }

    @Test func `a change whose answer was lost is an error at once: nobody knows whether it was made`() {
        let count = Counter()
        let error = change { request in
            count.value += 1
            return [acknowledgement(request, errno: ENOBUFS)]
        }
        #expect(error?.errno == Errno(ENOBUFS) && count.value == 1)
    }

    @Test func `a message that ends before its length says makes a dump be read again`() {
        let mended = links { request, count in
            guard count == 1 else { return table(request) }
            let whole = link(2, "wg0", request)
            return [link(1, "lo", request) + whole.dropLast(8), done(request)]
        }
        #expect(mended.names == ["lo", "wg0"] && mended.requests == 2)
        let never = links { request, _ in [link(1, "lo", request) + [40, 0, 0], done(request)] }
        #expect(never.names == nil && never.error?.errno == Errno(EAGAIN))
        // A length below that of the header would be a loop without end.
        let short = links { request, count in
            count == 1 ? [[8, 0, 0, 0] + Array(link(1, "lo", request).dropFirst(4)), done(request)] : table(request)
        }
        #expect(short.names == ["lo", "wg0"])
    }

    @Test func `an acknowledgement without its number is no success`() {
        #expect(
            change { [netlinkMessage(Int(NLMSG_ERROR), sequence: $0.sequence, [])] }?.errno == Errno(EBADMSG))
        #expect(change { [acknowledgement($0)] } == nil)
        let plain = links { request, _ in
            [link(1, "lo", request), netlinkMessage(Int(NLMSG_DONE), sequence: request.sequence, [])]
        }
        #expect(plain.names == ["lo"], "NLMSG_DONE needs none")
    }

    @Test func `what older requests left is neither in the table nor its end, nor an interruption`() {
        let found = links { request, _ in
            let old = stale(request)
            return [
                link(8, "old", old, flags: NLM_F_DUMP_INTR), done(old, errno: EPERM), acknowledgement(old, errno: EIO),
                netlinkMessage(Int(NLMSG_NOOP), sequence: request.sequence, []),
            ] + table(request)
        }
        #expect(found.names == ["lo", "wg0"] && found.requests == 1)
    }

    @Test func `several messages in a datagram, and an end that shares it with the last`() {
        let found = links { request, _ in
            // The first one's length is no multiple of four, the next begins at one.
            let odd = netlinkMessage(
                RTM_NEWLINK, flags: NLM_F_MULTI, sequence: request.sequence,
                [UInt8](repeating: 0, count: 16) + [7, 0, UInt8(IFLA_IFNAME), 0] + Array("lo".utf8) + [0])
            return [odd + link(2, "wg0", request) + done(request)]
        }
        #expect(found.names == ["lo", "wg0"] && found.requests == 1)
    }

    @Test(arguments: [true, false])
    func `P6: words of an acknowledgement come from behind the request it quotes`(capped: Bool) {
        // A request whose own attributes look like words must not be taken for them.
        let error = change { request in
            let quoted = ScriptedPeer.Request(
                bytes: littleEndian(UInt32(request.bytes.count + 16)) + Array(request.bytes[4...])
                    + attribute(1, Array("not these".utf8) + [0, 0, 0]))
            return [acknowledgement(quoted, errno: EINVAL, text: "these", capped: capped)]
        }
        #expect(error?.detail == "these")
        // Words that are announced and missing, or cut.
        for payload in [littleEndian(-EINVAL), littleEndian(-EINVAL) + Array(repeating: 255, count: 17)] {
            let bare = change {
                [netlinkMessage(Int(NLMSG_ERROR), flags: NLM_F_ACK_TLVS, sequence: $0.sequence, payload)]
            }
            #expect(bare?.errno == Errno(EINVAL) && bare?.detail == nil)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `the kernel: a dump that nobody read to its end does not spoil the next`() throws {
        let fresh = try TestNamespace()
        let index = try fresh.index(of: "lo")
        try fresh.route.setLink(index, up: true)
        for number in 0..<600 {
            let own = try #require(IPAddress("10.1.\(number / 250).\(1 + number % 250)"))
            let address = try #require(InterfaceAddress(address: own, length: 32))
            try fresh.route.addAddress(address, linkIndex: index)
        }
        // As after ENOBUFS: asked, and the answer begun.
        var message = NetlinkMessage("RTM_GETADDR", "test", type: RTM_GETADDR, flags: NLM_F_DUMP)
        message.putHeader(ifaddrmsg())
        let number = fresh.route.socket.descriptor.rawValue
        let bytes = message.bytes
        #expect(send(number, bytes.baseAddress, bytes.count, 0) == bytes.count)
        #expect(try fresh.route.addresses().filter { $0.address.address.isIPv4 }.count >= 600)
    }
}

private final class Counter: @unchecked Sendable {
    var value = 0
}
