import Testing

@testable import WireGuardCrypto

@Suite struct HashingTests {
    @Test func `RFC 7693 appendix B: BLAKE2s of abc`() {
        var digest = [UInt8](repeating: 0, count: 32)
        Array("abc".utf8).withUnsafeBytes { BLAKE2s.hash($0, into: &digest) }
        #expect(KeyText.hex(digest) == "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982")
    }
}
