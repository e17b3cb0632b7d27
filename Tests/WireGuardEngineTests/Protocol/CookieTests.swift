import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto

@testable import WireGuardEngine

@Suite struct CookieTests {
    /// Puts `device` under load, as 512 waiting messages would.
    private func overload(_ device: VirtualDevice, at now: Moment) {
        _ = device.device.load.isUnderLoad(queued: LoadGauge.threshold, at: now.boot)
    }

    private func initiation(_ pair: VirtualPair) -> Datagram {
        pair.a.device.expireSendingKeys(at: pair.now)
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        defer { pair.a.outbox = [] }
        return pair.a.outbox.last { $0.kind == .initiation }!
    }

    private func answer(_ pair: VirtualPair, to datagram: Datagram) -> [Datagram] {
        pair.b.runReceive([datagram], at: pair.now.boot)
        pair.b.runControl(at: pair.now)
        defer { pair.b.outbox = [] }
        return pair.b.outbox
    }

    @Test func `C1: mac2 is zero without a cookie`() {
        #expect(initiation(VirtualPair()).bytes[132...].allSatisfy { $0 == 0 })
    }

    @Test func `C1, C3, C4, C5: under load a cookie is asked for, used and accepted`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        let replies = answer(pair, to: initiation(pair))
        #expect(replies.map(\.kind) == [.cookieReply])
        #expect(replies[0].bytes.count == 64)
        #expect(replies[0].destination == pair.a.address)
        // No Diffie-Hellman was done for it, and nothing of the peer is known.
        #expect(pair.b.peer(pair.a.publicKey).pointee.path == nil)
        let before = pair.a.device.nextDeadline(after: pair.now.boot)
        pair.a.runReceive(replies, at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        // No retry, no timer, no other endpoint.
        #expect(pair.a.outbox.isEmpty)
        #expect(pair.a.device.nextDeadline(after: pair.now.boot) == before)
        overload(pair.b, at: pair.now)
        let withCookie = initiation(pair)
        #expect(!withCookie.bytes[132...].allSatisfy { $0 == 0 })
        #expect(answer(pair, to: withCookie).map(\.kind) == [.response])
    }

    @Test func `C3: responses are asked for a cookie, too`() {
        let pair = VirtualPair()
        let replies = answer(pair, to: initiation(pair))
        #expect(replies.map(\.kind) == [.response])
        overload(pair.a, at: pair.now)
        pair.a.runReceive(replies, at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        #expect(pair.a.outbox.map(\.kind) == [.cookieReply])
    }

    @Test func `C2: a cookie holds for one address and port only`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        pair.a.runReceive(answer(pair, to: initiation(pair)), at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        for source in ["192.0.2.1:1001", "192.0.2.3:1000", "[2001:db8::1]:1000"] {
            overload(pair.b, at: pair.now)
            var moved = initiation(pair)
            moved.source = Endpoint(source)!
            #expect(answer(pair, to: moved).map(\.kind) == [.cookieReply])
        }
    }

    @Test func `C2: the secret lives for 120 s`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        pair.a.runReceive(answer(pair, to: initiation(pair)), at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        pair.advance(seconds: 114)
        let early = initiation(pair)
        pair.advance(seconds: 5.9)
        overload(pair.b, at: pair.now)
        #expect(answer(pair, to: early).map(\.kind) == [.response])
        let pair2 = VirtualPair()
        overload(pair2.b, at: pair2.now)
        pair2.a.runReceive(answer(pair2, to: initiation(pair2)), at: pair2.now.boot)
        pair2.a.runControl(at: pair2.now)
        pair2.advance(seconds: 114)
        let late = initiation(pair2)
        pair2.advance(seconds: 6)
        overload(pair2.b, at: pair2.now)
        #expect(answer(pair2, to: late).map(\.kind) == [.cookieReply])
    }

    @Test func `C4: a cookie is used for 115 s`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        pair.a.runReceive(answer(pair, to: initiation(pair)), at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        pair.advance(seconds: 114.9)
        #expect(!initiation(pair).bytes[132...].allSatisfy { $0 == 0 })
        pair.advance(seconds: 0.1)
        #expect(initiation(pair).bytes[132...].allSatisfy { $0 == 0 })
    }

    @Test func `C4: a cookie answers one message once, and only our last`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        let first = answer(pair, to: initiation(pair))[0]
        overload(pair.b, at: pair.now)
        let second = answer(pair, to: initiation(pair))[0]
        let cookie = { initiationHasCookie(pair) }
        // It belongs to an older mac1.
        pair.a.runReceive([first], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        var damaged = second
        damaged.bytes[40] ^= 1
        pair.a.runReceive([damaged], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        pair.a.runReceive([second], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        #expect(cookie())
        func initiationHasCookie(_ pair: VirtualPair) -> Bool { !initiation(pair).bytes[132...].allSatisfy { $0 == 0 } }
    }

    @Test func `C4: a cookie for an index that is not ours, or of nobody, is dropped`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        var reply = answer(pair, to: initiation(pair))[0]
        reply.bytes[4] ^= 1
        pair.a.runReceive([reply], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        #expect(initiation(pair).bytes[132...].allSatisfy { $0 == 0 })
    }

    @Test func `C5: an eighth of the queue is load, and for a second after`() {
        var gauge = LoadGauge()
        var now = BootTime(nanoseconds: 5)
        let below = gauge.isUnderLoad(queued: 511, at: now)
        #expect(!below)
        let at = gauge.isUnderLoad(queued: 512, at: now)
        #expect(at)
        now = now.advanced(byNanoseconds: 999_999_999)
        let soon = gauge.isUnderLoad(queued: 0, at: now)
        #expect(soon)
        now = now.advanced(byNanoseconds: 1)
        let later = gauge.isUnderLoad(queued: 0, at: now)
        #expect(!later)
    }

    @Test func `C5: 512 waiting messages make load, fewer do not`() {
        for (count, expected) in [(511, Message.Kind.response), (512, .cookieReply)] {
            let pair = VirtualPair()
            let good = initiation(pair)
            let junk = Datagram(
                source: VirtualPair.addressA, destination: pair.b.address,
                bytes: [1, 0, 0, 0] + [UInt8](repeating: 0, count: 144))
            pair.b.runReceive([good] + Array(repeating: junk, count: count - 1), at: pair.now.boot)
            pair.b.runControl(at: pair.now)
            #expect(pair.b.outbox.map(\.kind) == [expected])
        }
    }

    @Test func `C5: not under load neither mac2 nor the rate limiter is asked`() {
        let pair = VirtualPair()
        for _ in 0..<30 {
            var message = initiation(pair)
            message.bytes[140] = 0xff
            #expect(answer(pair, to: message).map(\.kind) == [.response])
            pair.advance(seconds: 0.021)
        }
        #expect(pair.b.device.rateLimiter.sourceCount == 0)
    }

    @Test func `C5: under load a wrong mac1 is not answered`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        var message = initiation(pair)
        message.bytes[120] ^= 1
        #expect(answer(pair, to: message).isEmpty)
    }

    @Test func `C6: a full queue drops and does not wait`() {
        let queue = HandshakeQueue(capacity: 4)
        let bytes = [UInt8](repeating: 1, count: 148)
        let path = DatagramPath(VirtualPair.addressA)
        var outcomes: [String] = []
        for _ in 0..<6 { bytes.withUnsafeBytes { outcomes.append("\(queue.put($0, path: path))") } }
        #expect(outcomes == ["queuedFirst", "queued", "queued", "queued", "dropped", "dropped"])
        #expect(queue.count == 4)
        #expect(queue.take()?.byteCount == 148)
        bytes.withUnsafeBytes { outcomes.append("\(queue.put($0, path: path))") }
        #expect(outcomes.last == "queued")
        queue.removeAll()
        #expect(queue.take() == nil)
    }

    @Test func `C7: under load one source gets five handshakes at once and twenty a second`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        pair.a.runReceive(answer(pair, to: initiation(pair)), at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        var answers = 0
        for _ in 0..<20 {
            overload(pair.b, at: pair.now)
            answers += answer(pair, to: initiation(pair)).count { $0.kind == .response }
            // Past the flood limit of the peer, below a new token.
            pair.advance(seconds: 0.0201)
        }
        // Five at once, and 19 × 20.1 ms bring seven more tokens.
        #expect(answers == 12)
        // Nobody is remembered for long, and control knows when to forget.
        #expect(pair.b.device.rateLimiter.sourceCount == 1)
        let soon = pair.now.boot.advanced(byNanoseconds: 1_000_000_000)
        #expect(pair.b.device.nextDeadline(after: pair.now.boot).map { $0 <= soon } == true)
        pair.run(seconds: 3)
        #expect(pair.b.device.rateLimiter.sourceCount == 0)
    }

    @Test func `C4: a cookie outlives the handshake that it was given for, whatever response comes`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        pair.a.runReceive(answer(pair, to: initiation(pair)), at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        let responses = answer(pair, to: initiation(pair))
        #expect(responses.map(\.kind) == [.response])
        pair.a.runReceive(responses, at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        pair.advance(seconds: 6)
        #expect(!initiation(pair).bytes[132...].allSatisfy { $0 == 0 })
    }

    @Test func `C2, R9: when the clock goes backward the secret is replaced, or it would live too long`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        pair.a.runReceive(answer(pair, to: initiation(pair)), at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        pair.now.boot = BootTime(nanoseconds: pair.now.boot.nanoseconds - 10_000_000_000)
        overload(pair.b, at: pair.now)
        let withCookie = initiation(pair)
        #expect(!withCookie.bytes[132...].allSatisfy { $0 == 0 })
        #expect(answer(pair, to: withCookie).map(\.kind) == [.cookieReply])
    }

    @Test func `C3: each reply has a nonce of its own`() {
        let pair = VirtualPair()
        let message = initiation(pair)
        overload(pair.b, at: pair.now)
        let nonces = (0..<4).map { _ in Array(answer(pair, to: message)[0].bytes[8..<32]) }
        #expect(Set(nonces).count == 4)
    }

    @Test func `C4: a damaged reply is no cookie, and a repeated one does not make it younger`() {
        let pair = VirtualPair()
        overload(pair.b, at: pair.now)
        let good = answer(pair, to: initiation(pair))[0]
        var damaged = good
        damaged.bytes[40] ^= 1
        pair.a.runReceive([damaged], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        #expect(initiation(pair).bytes[132...].allSatisfy { $0 == 0 })
        overload(pair.b, at: pair.now)
        let reply = answer(pair, to: initiation(pair))[0]
        pair.a.runReceive([reply], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        pair.advance(seconds: 100)
        pair.a.runReceive([reply], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        pair.advance(seconds: 15)
        #expect(initiation(pair).bytes[132...].allSatisfy { $0 == 0 })
    }
}
