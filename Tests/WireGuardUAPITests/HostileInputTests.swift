import Glibc
import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport
import WireGuardUAPI

@Suite struct HostileInputTests {
    /// Valid requests, damaged: bytes changed, cut out, doubled, lines swapped, and pieces of any size. Nothing may
    /// trap, and nothing may come out that the text did not ask for.
    @Test(.timeLimit(.minutes(2))) func `U3, U5: no input traps`() {
        var generator = SeededGenerator(seed: 0xf022)
        var seeds = (0..<20).map { _ in Array(text(uapiSet: DeviceChange(settingAll: generator.device())).utf8) }
        seeds.append(Array("get=1\n\nset=1\nremove=true\n\n".utf8))
        for _ in 0..<mutationRounds {
            var bytes = seeds[generator.below(seeds.count)]
            for _ in 0..<(1 + generator.below(6)) { mutate(&bytes, &generator) }
            var parser = UAPIRequestParser()
            var start = 0
            var count = 0
            while start < bytes.count {
                let end = min(bytes.count, start + 1 + generator.below(200))
                count += bytes[start..<end].withUnsafeBytes { parser.feed($0) }.count
                start = end
            }
            count += parser.finish() == nil ? 0 : 1
            #expect(count <= bytes.count / 4 + 2)
            var answers = UAPIResponseParser()
            _ = try? bytes.withUnsafeBytes { try answers.feed($0) }
        }
    }

    /// At 130,560 prefixes the text has four megabytes; sixteen times as much may take sixteen times as long, and two or
    /// three times that where caches do not hold it, but not 256 times.
    @Test func `U5: 10,000 peers and 130,560 allowed IPs are read in linear time`() {
        func cost(peers: Int, prefixes: Int) -> UInt64 {
            let device = largeDevice(peerCount: peers, prefixesPerPeer: prefixes)
            var buffer = SecretText()
            buffer.append(uapiSet: DeviceChange(settingAll: device))
            var best = UInt64.max
            for _ in 0..<3 {
                let start = clockNanoseconds(CLOCK_THREAD_CPUTIME_ID)
                var parser = UAPIRequestParser()
                let requests = buffer.withBytes { parser.feed($0) }
                best = min(best, clockNanoseconds(CLOCK_THREAD_CPUTIME_ID) - start)
                #expect(requests == [.set(DeviceChange(settingAll: device))])
            }
            return best
        }
        let part = cost(peers: 10_000 / 16 / scale, prefixes: 13)
        let whole = cost(peers: 10_000 / scale, prefixes: 13)
        #expect(whole < part * 100, "\(part) ns and \(whole) ns")
        let onePeer = cost(peers: 1, prefixes: 130_560 / 16 / scale)
        let onePeerFull = cost(peers: 1, prefixes: 130_560 / scale)
        #expect(onePeerFull < onePeer * 100, "\(onePeer) ns and \(onePeerFull) ns")
        print("UAPI: \(10_000 / scale) peers with 13 prefixes each read in \(whole / 1_000_000) ms")
    }

    /// Memory is bounded by the limits whatever comes.
    @Test func `U5: what is refused is not kept`() {
        var limits = UAPILimits()
        limits.totalBytes = 1 << 20
        var parser = UAPIRequestParser(limits: limits)
        let line = Array("public_key=\(peerA)\n".utf8)
        var requests = Array("set=1\n".utf8).withUnsafeBytes { parser.feed($0) }
        var fed = 0
        while requests.isEmpty, fed < 4 << 20 {
            requests = line.withUnsafeBytes { parser.feed($0) }
            fed += line.count
        }
        #expect(requests == [.refused(Errno(E2BIG)), .hangUp])
        #expect(fed <= (1 << 20) + line.count)
        let afterwards = line.withUnsafeBytes { parser.feed($0) }
        #expect(afterwards.isEmpty)
        let waits = parser.isInsideRequest
        #expect(!waits)
    }
}

/// A few seconds optimised; less where nothing is inlined and sanitizers slow everything down.
#if DEBUG
    let mutationRounds = 1500
    let scale = 8
#else
    let mutationRounds = 60_000
    let scale = 1
#endif
