import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

@Suite struct RestartBackOffTests {
    @Test func `ten deaths without a packet from a peer cost nothing, then one second, two, up to sixty`() {
        var deaths = RestartBackOff()
        var waits: [UInt64?] = []
        for _ in 0..<20 {
            deaths.count(authenticated: 0)
            waits.append(deaths.waitNanoseconds.map { $0 / 1_000_000_000 })
        }
        #expect(waits == [UInt64?](repeating: nil, count: 10) + [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
        for _ in 0..<100 { deaths.count(authenticated: 0) }
        #expect(deaths.waitNanoseconds == 60_000_000_000)
    }

    @Test func `an authenticated packet since the last death starts the count anew`() {
        var deaths = RestartBackOff()
        for _ in 0..<15 { deaths.count(authenticated: 7) }
        #expect(deaths.waitNanoseconds != nil)
        deaths.count(authenticated: 8)
        #expect(deaths.count == 1 && deaths.waitNanoseconds == nil)
        for _ in 0..<9 { deaths.count(authenticated: 8) }
        #expect(deaths.count == 10 && deaths.waitNanoseconds == nil)
        // Whatever a worker that lied has left in the shared page.
        deaths.count(authenticated: 0)
        #expect(deaths.count == 1)
    }
}

@Suite struct ReadinessTests {
    /// Everything that was said to the two who wait, and that it has ended.
    private func heard(_ body: (Readiness) -> Void) throws -> [String] {
        let first = try Pipe()
        let second = try Pipe()
        let readers = [try first.readEnd.duplicate().release(), try second.readEnd.duplicate().release()]
        defer { for number in readers { close(number) } }
        body(Readiness([first.takeWriteEnd().release(), second.takeWriteEnd().release()]))
        return try readers.map { number in
            var text: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 256)
            while try waitReadable(number, milliseconds: 1000) {
                let count = read(number, &buffer, buffer.count)
                if count <= 0 { return String(decoding: text, as: UTF8.self) }
                text += buffer[..<count]
            }
            return "never ended"
        }
    }

    @Test func `everybody hears once that we are ready, or why not, and then the end`() throws {
        #expect(try heard { $0.succeed() } == ["ready\n", "ready\n"])
        #expect(try heard { $0.fail("no port") } == ["no port\n", "no port\n"])
        #expect(
            try heard {
                $0.succeed()
                $0.fail("too late")
                $0.succeed()
            } == ["ready\n", "ready\n"])
        #expect(try heard { _ in } == ["", ""], "who says nothing at all has failed")
    }
}

@Suite struct SocketPlacesTests {
    private struct Fixture: ~Copyable {
        let poll: EventPoll
        let places: SocketPlaces

        init() throws {
            let poll = try EventPoll()
            let placeholder = try EventCounter()
            let (ipv4, ipv6) = try SocketPlaces.reserve(placeholder)
            places = SocketPlaces(
                ipv4: ipv4, ipv6: ipv6, placeholder: placeholder, receivePoll: poll.descriptor.rawValue)
            self.poll = poll
        }

        /// Which places epoll names after `pair` has sent itself a datagram over both families.
        func events() throws -> [UInt64] {
            var tokens: [UInt64] = []
            try poll.wait(timeoutMilliseconds: 100) { tokens.append($0.token) }
            return tokens.sorted()
        }
    }

    private func install(_ pair: borrowing UDPSocketPair, in places: borrowing SocketPlaces, ipv6: Bool = true) throws {
        places.install(
            ipv4: try FileDescriptor.duplicating(pair.ipv4).release(),
            ipv6: ipv6 && pair.ipv6 >= 0 ? try FileDescriptor.duplicating(pair.ipv6).release() : -1)
    }

    /// A datagram into `pair` over IPv4.
    private func poke(_ pair: borrowing UDPSocketPair) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = pair.port.bigEndian
        let number = pair.ipv4
        #expect(withSocketAddress(&address) { sendto(number, "x", 1, 0, $0, $1) } == 1)
    }

    private func port(_ number: Int32) -> UInt16? {
        var address = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(number, __SOCKADDR_ARG(__sockaddr__: $0), &size)
            }
        }
        return result == 0 ? UInt16(bigEndian: address.sin6_port) : nil
    }

    @Test func `the numbers stay, the sockets behind them change, and epoll hears of the present ones only`() throws {
        let fixture = try Fixture()
        #expect(port(fixture.places.ipv4) == nil && send(fixture.places.ipv4, "x", 1, 0) < 0 && errno == ENOTSOCK)
        let first = try UDPSocketPair.open(port: 0, mark: 0)
        let second = try UDPSocketPair.open(port: 0, mark: 0)
        try install(first, in: fixture.places)
        #expect(port(fixture.places.ipv4) == first.port)
        if first.ipv6 >= 0 { #expect(port(fixture.places.ipv6) == first.port) }
        poke(first)
        #expect(try fixture.events() == [SocketPlaces.Token.ipv4.rawValue])
        // What is left in the old one does not come back with the new one, although somebody holds it open.
        try install(second, in: fixture.places)
        #expect(port(fixture.places.ipv4) == second.port)
        #expect(try fixture.events() == [])
        poke(second)
        #expect(try fixture.events() == [SocketPlaces.Token.ipv4.rawValue])
    }

    @Test func `a family that is not there, and an interface that is down, leave a place on which nothing is sent`()
        throws
    {
        let fixture = try Fixture()
        let pair = try UDPSocketPair.open(port: 0, mark: 0)
        try install(pair, in: fixture.places, ipv6: false)
        #expect(send(fixture.places.ipv6, "x", 1, 0) < 0 && errno == ENOTSOCK)
        poke(pair)
        fixture.places.remove()
        #expect(send(fixture.places.ipv4, "x", 1, 0) < 0 && errno == ENOTSOCK)
        #expect(try fixture.events() == [])
        try install(pair, in: fixture.places)
        #expect(try fixture.events() == [SocketPlaces.Token.ipv4.rawValue])
    }

    @Test func `nothing that was taken over stays open`() throws {
        let fixture = try Fixture()
        let pair = try UDPSocketPair.open(port: 0, mark: 0)
        let probe = try FileDescriptor.duplicating(pair.ipv4).rawValue
        for _ in 0..<50 {
            try install(pair, in: fixture.places)
            fixture.places.remove()
        }
        let after = try FileDescriptor.duplicating(pair.ipv4).rawValue
        #expect(after < probe + 40, "another test may hold some, but not a hundred")
    }
}
