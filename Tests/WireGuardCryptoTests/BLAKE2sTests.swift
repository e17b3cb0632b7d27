import Testing

@testable import WireGuardCrypto

@Suite struct BLAKE2sTests {
    @Test func `RFC 7693 appendix B: the hash of abc`() {
        #expect(
            KeyText.hex(digest(Array("abc".utf8))) == "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"
        )
    }

    @Test func `RFC 7693 appendix E: the self-test over lengths, keyed and not`() {
        var grand = BLAKE2s()
        for outputByteCount in [16, 20, 28, 32] {
            for inputByteCount in [0, 3, 64, 65, 255, 1024] {
                let input = sequence(inputByteCount, seed: UInt32(inputByteCount))
                let key = sequence(outputByteCount, seed: UInt32(outputByteCount))
                for digest in [digest(input, outputByteCount), digest(input, outputByteCount, key: key)] {
                    digest.withUnsafeBytes { grand.update($0) }
                }
            }
        }
        var result = [UInt8](repeating: 0, count: 32)
        grand.finish(into: &result)
        #expect(KeyText.hex(result) == "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe")
    }

    @Test(.enabled(if: VectorFiles.areThere, "no vector files: set SWG_VECTORS"))
    func `All 512 reference answers, in one piece and in two`() throws {
        struct Answer: Decodable {
            let `in`: String
            let key: String
            let out: String
        }
        let answers = try VectorFiles.read("blake2/blake2s-kat.json", as: [Answer].self)
        #expect(answers.count == 512)
        for answer in answers {
            let (input, key) = (hex(answer.in), hex(answer.key))
            #expect(KeyText.hex(digest(input, key: key)) == answer.out)
            let cut = input.count * 2 / 3
            var state = key.withUnsafeBytes { BLAKE2s(outputByteCount: 32, key: $0) }
            Array(input[..<cut]).withUnsafeBytes { state.update($0) }
            Array(input[cut...]).withUnsafeBytes { state.update($0) }
            var result = [UInt8](repeating: 0, count: 32)
            state.finish(into: &result)
            #expect(KeyText.hex(result) == answer.out)
        }
    }

    @Test func `Every cut of an input into pieces gives the same hash`() {
        let input = sequence(200, seed: 7)
        let whole = digest(input)
        for first in stride(from: 0, through: 200, by: 1) {
            for second in [
                first, min(first + 1, 200), min(first + 63, 200), min(first + 64, 200), min(first + 65, 200),
            ] {
                var result = [UInt8](repeating: 0, count: 32)
                input.withUnsafeBytes { bytes in
                    BLAKE2s.hash(
                        .init(rebasing: bytes[..<first]), .init(rebasing: bytes[first..<second]),
                        .init(rebasing: bytes[second...]),
                        into: &result)
                }
                #expect(result == whole)
            }
        }
    }

    @Test func `N12: a finished or wiped state holds nothing`() {
        var state = Array("a secret key".utf8).withUnsafeBytes { BLAKE2s(outputByteCount: 16, key: $0) }
        var mac = [UInt8](repeating: 0, count: 16)
        state.finish(into: &mac)
        #expect(withUnsafeBytes(of: &state) { $0.allSatisfy { $0 == 0 } })
        var other = BLAKE2s()
        Array("secret".utf8).withUnsafeBytes { other.update($0) }
        other.wipe()
        #expect(withUnsafeBytes(of: &other) { $0.allSatisfy { $0 == 0 } })
    }

    @Test func `C1 N11: a MAC is the keyed hash of 16 bytes, and one changed bit anywhere is refused`() {
        let key = sequence(32, seed: 3)
        let message = sequence(116, seed: 4)
        var mac = [UInt8](repeating: 0, count: 16)
        key.withUnsafeBytes { key in message.withUnsafeBytes { BLAKE2s.mac(key: key, $0, into: &mac) } }
        #expect(mac == digest(message, 16, key: key))
        func isGood(_ mac: [UInt8], _ message: [UInt8]) -> Bool {
            key.withUnsafeBytes { key in message.withUnsafeBytes { BLAKE2s.isMAC(mac, key: key, $0) } }
        }
        #expect(isGood(mac, message))
        for bit in 0..<128 {
            var wrong = mac
            wrong[bit / 8] ^= 1 << (bit % 8)
            #expect(!isGood(wrong, message))
        }
        #expect(!isGood(mac, message + [0]))
    }

    private func digest(_ input: [UInt8], _ outputByteCount: Int = 32, key: [UInt8] = []) -> [UInt8] {
        var state = key.withUnsafeBytes { BLAKE2s(outputByteCount: outputByteCount, key: $0) }
        input.withUnsafeBytes { state.update($0) }
        var result = [UInt8](repeating: 0, count: outputByteCount)
        state.finish(into: &result)
        return result
    }

    /// selftest_seq of RFC 7693 appendix E.
    private func sequence(_ count: Int, seed: UInt32) -> [UInt8] {
        var (a, b) = (0xdead_4bad &* seed, UInt32(1))
        return (0..<count).map { _ in
            (a, b) = (b, a &+ b)
            return UInt8(b >> 24)
        }
    }
}
