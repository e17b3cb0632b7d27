import LinuxSystem
import Testing

@testable import WireGuardCrypto

@Suite struct TAI64NTests {
    @Test func `T1: twelve bytes, big-endian, rounded down to 2^24 ns`() {
        let stamp = TAI64N(WallTime(seconds: 1, nanoseconds: 0x03ff_ffff))
        #expect(bytes(stamp) == [0x40, 0, 0, 0, 0, 0, 0, 0x0b, 3, 0, 0, 0])
        #expect(TAI64N(copying: bytes(stamp)) == stamp)
    }

    @Test func `T1: ordered like the bytes`() {
        var random = SplitMix(state: 5)
        let stamps = (0..<200).map { _ in
            TAI64N(label: random.next() >> (random.next() % 64), nanoseconds: UInt32(truncatingIfNeeded: random.next()))
        }
        for left in stamps {
            for right in stamps {
                #expect((left < right) == bytes(left).lexicographicallyPrecedes(bytes(right)))
            }
        }
        #expect(!(stamps[0] < stamps[0]))
        #expect(TAI64N.zero < TAI64N(WallTime(seconds: 0, nanoseconds: 0)))
    }

    @Test func `T3: a clock set back or standing still never repeats a timestamp`() {
        var last = TAI64N(WallTime(seconds: 1_700_000_000, nanoseconds: 999_999_999))
        for step in 0..<200 {
            let next = TAI64N(WallTime(seconds: 1_600_000_000 - Int64(step), nanoseconds: 5)).after(last)
            #expect(next > last)
            #expect(next.nanoseconds < 1_000_000_000 && next.nanoseconds % (1 << 24) == 0)
            #expect(next.label - last.label <= 1)
            last = next
        }
        let now = TAI64N(WallTime(seconds: 1_800_000_000, nanoseconds: 0))
        #expect(now.after(last) == now)
    }

    @Test func `T3: a floor with impossible nanoseconds still moves forward`() {
        let extremes: [UInt32] = [.max, 1_000_000_000, 999_999_999, (1 << 24) - 1, 989_855_744]
        for nanoseconds in extremes {
            let floor = TAI64N(label: 77, nanoseconds: nanoseconds)
            #expect(TAI64N.zero.after(floor) > floor)
        }
    }

    @Test func `A time before 1970 or at the end of time does not trap`() {
        #expect(TAI64N(WallTime(seconds: -1, nanoseconds: 0)).label == 0x4000_0000_0000_0009)
        _ = TAI64N(WallTime(seconds: .max, nanoseconds: .max)).after(TAI64N(label: .max, nanoseconds: .max))
    }

    private func bytes(_ stamp: TAI64N) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 12)
        stamp.write(to: &bytes)
        return bytes
    }
}
