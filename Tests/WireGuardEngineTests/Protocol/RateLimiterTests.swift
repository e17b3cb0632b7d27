import IPAddressing
import LinuxSystem
import Testing

@testable import WireGuardEngine

@Suite struct RateLimiterTests {
    private func path(_ text: String) -> DatagramPath { DatagramPath(Endpoint(text)!) }

    /// The timings of the kernel's selftest/ratelimiter.c.
    @Test(arguments: ["10.0.0.1:1", "[2001:db8::1]:1"])
    func `C7: five at once, then one every 50 ms, whatever others do`(source: String) {
        var limiter = RateLimiter()
        var now = BootTime(nanoseconds: 0)
        let steps: [(Bool, UInt64)] = [
            (true, 0), (true, 0), (true, 0), (true, 0), (true, 0), (false, 0), (true, 50), (false, 0), (true, 100),
            (true, 0),
            (false, 0),
        ]
        for (index, step) in steps.enumerated() {
            now = now.advanced(byNanoseconds: step.1 * 1_000_000)
            let allowed = limiter.allow(path(source), at: now)
            #expect(allowed == step.0, "step \(index)")
            let other = limiter.allow(path("10.9.9.\(index):1"), at: now)
            #expect(other)
        }
    }

    @Test func `C7: an IPv6 network of 64 bits is one source, ports do not matter`() {
        var limiter = RateLimiter()
        let now = BootTime(nanoseconds: 1)
        for index in 1...5 {
            let allowed = limiter.allow(path("[2001:db8:0:1::\(index)]:\(index)"), at: now)
            #expect(allowed)
        }
        let sixth = limiter.allow(path("[2001:db8:0:1:ffff::]:9"), at: now)
        #expect(!sixth)
        let neighbour = limiter.allow(path("[2001:db8:0:2::1]:1"), at: now)
        #expect(neighbour)
    }

    @Test func `C7: the table is bounded, denies over the cap, and is empty a second after the last message`() {
        var limiter = RateLimiter()
        var now = BootTime(nanoseconds: 1)
        var denied = 0
        for index in 0...RateLimiter.maximumSources {
            let source = DatagramPath(Endpoint(address: .v4(IPv4Address(rawValue: UInt32(index))), port: 1))
            if !limiter.allow(source, at: now) { denied += 1 }
        }
        #expect(denied == 1)
        now = now.advanced(byNanoseconds: 2_100_000_000)
        #expect(limiter.deadline.map { $0 <= now } == true)
        limiter.collect(at: now)
        #expect(limiter.sourceCount == 0)
        #expect(limiter.deadline == nil)
    }
}
