import Glibc
import IPAddressing
import Testing

/// Against the C library, on addresses that are a little wrong.
@Suite struct AddressTextTests {
    static func cLibrary(_ text: String) -> IPAddress? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return IPAddress(bytes: bytes.prefix(4)) }
        if inet_pton(AF_INET6, text, &bytes) == 1 { return IPAddress(bytes: bytes) }
        return nil
    }

    /// A multiplicative generator: the same texts in every run.
    struct Numbers: RandomNumberGenerator {
        var state: UInt64 = 88_172_645_463_325_252
        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }

    @Test func `text is read exactly as inet_pton reads it`() {
        var numbers = Numbers()
        let seeds = [
            "10.0.0.1", "255.255.255.255", "::", "::1", "1::", "2001:db8::1:0:0:1", "::ffff:192.0.2.1",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:1.2.3.4", "fe80::1", "64:ff9b::10.0.0.1", "1:2:3::5:6:7:8",
        ]
        let letters = Array("0123456789abcdefABF:.%/ g".utf8)
        var accepted = 0
        for _ in 0..<40_000 {
            var bytes = Array((seeds.randomElement(using: &numbers) ?? "::").utf8)
            for _ in 0..<Int.random(in: 0...3, using: &numbers) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &numbers)
                let letter = letters.randomElement(using: &numbers) ?? 0x30
                switch Int.random(in: 0..<3, using: &numbers) {
                case 0: bytes[index] = letter
                case 1: bytes.insert(letter, at: index)
                default: bytes.remove(at: index)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let ours = IPAddress(text)
            #expect(ours == AddressTextTests.cLibrary(text), "\(text)")
            guard let ours else { continue }
            accepted += 1
            #expect(IPAddress(ours.description) == ours, "\(text)")
        }
        #expect(accepted > 5000)
    }
}
