import Glibc
import IPAddressing
import LinuxSystem
import Testing
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@Suite struct HostileConfigurationTests {
    /// Whatever is accepted can be written and read back; whatever is refused has a place inside the text.
    @Test(.timeLimit(.minutes(2))) func `P6: no text traps, and every text is read or explained`() throws {
        var generator = SeededGenerator(seed: 0xc0f)
        let seeds = (0..<40).map { _ in generator.tunnel().text().withBytes { Array($0) } }
        var accepted = 0
        for round in 0..<mutationRounds {
            var bytes = seeds[generator.below(seeds.count)]
            for _ in 0..<(1 + generator.below(4)) { mutate(&bytes, &generator) }
            do throws(ConfigurationErrors) {
                let tunnel = try bytes.withUnsafeBytesTyped { (bytes) throws(ConfigurationErrors) in
                    try TunnelConfiguration.parse(bytes, file: "f").configuration
                }
                accepted += 1
                let again = try tunnel.text().withBytes { (bytes) throws(ConfigurationErrors) in
                    try TunnelConfiguration.parse(bytes, file: "f").configuration
                }
                #expect(again == tunnel, "round \(round)")
            } catch {
                let lineCount = bytes.count { $0 == UInt8(ascii: "\n") } + 1
                for problem in error.problems {
                    #expect((1...lineCount).contains(problem.line) && problem.column >= 1, "round \(round): \(problem)")
                    #expect(!problem.description.contains("\n"))
                }
            }
        }
        #expect(accepted > mutationRounds / 50)
    }

    @Test func `130,560 allowed IPs are read in linear time, in one line or in many`() throws {
        func cost(_ count: Int, _ separator: String) throws -> UInt64 {
            let items = largeDevice(peerCount: 1, prefixesPerPeer: count).peers[0].allowedIPs.map(\.description)
            let bytes = Array(file(peer: "AllowedIPs = " + items.joined(separator: separator)).utf8)
            var best = UInt64.max
            for _ in 0..<3 {
                let start = clockNanoseconds(CLOCK_THREAD_CPUTIME_ID)
                let tunnel = try bytes.withUnsafeBytes { try TunnelConfiguration.parse($0, file: "f").configuration }
                best = min(best, clockNanoseconds(CLOCK_THREAD_CPUTIME_ID) - start)
                #expect(tunnel.peers[0].allowedIPs.count == count)
            }
            return best
        }
        for separator in [", ", "\nAllowedIPs = "] {
            // Caches that do not hold the whole cost a factor of two or three; squared it would be 256.
            let part = try cost(130_560 / 16 / scale, separator)
            let whole = try cost(130_560 / scale, separator)
            #expect(whole < part * 100, "\(part) ns and \(whole) ns")
            print("configuration: \(130_560 / scale) allowed IPs read in \(whole / 1_000_000) ms")
        }
    }

    @Test func `P6: errors in 130,560 allowed IPs of one line are counted in linear time`() {
        let text = file(peer: "AllowedIPs = " + repeatElement("10.0.0.0/99", count: 130_560).joined(separator: ","))
        let start = clockNanoseconds(CLOCK_THREAD_CPUTIME_ID)
        #expect(errors(text).last == "and 130460 more errors")
        #expect(clockNanoseconds(CLOCK_THREAD_CPUTIME_ID) - start < 30_000_000_000)
    }
}

extension Array where Element == UInt8 {
    func withUnsafeBytesTyped<Result, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> Result
    ) throws(E) -> Result {
        var copy = SecretText(capacity: Swift.max(count, 1))
        withUnsafeBytes { copy.append($0) }
        return try copy.withBytes(body)
    }
}

#if DEBUG
    let mutationRounds = 1000
    let scale = 8
#else
    let mutationRounds = 30_000
    let scale = 1
#endif
