import Testing

@testable import WireGuardCrypto

@Suite struct KDFTests {
    /// wireguard-go's three vectors, and the same from HMAC over another BLAKE2s. A shorter key is one padded
    /// with zeros (RFC 2104).
    @Test(arguments: [
        (
            "test-key", "test-input",
            [
                "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
                "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
                "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24",
            ]
        ),
        (
            "wireguard", "wireguard",
            [
                "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8",
                "1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f",
                "31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160",
            ]
        ),
        (
            "", "",
            [
                "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
                "58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
                "0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e",
            ]
        ),
    ])
    func `N2: KDF1, KDF2 and KDF3 are HKDF with HMAC-BLAKE2s`(_ key: String, _ input: String, _ expected: [String]) {
        let chainingKey = Array(key.utf8) + [UInt8](repeating: 0, count: 32 - key.utf8.count)
        var first = [UInt8](repeating: 0, count: 32)
        var (second, third) = (first, first)
        Array(input.utf8).withUnsafeBytes { input in
            KDF.derive1(chainingKey: chainingKey, input: input, into: &first)
            #expect([first].map(KeyText.hex) == Array(expected[..<1]))
            KDF.derive2(chainingKey: chainingKey, input: input, into: &first, &second)
            #expect([first, second].map(KeyText.hex) == Array(expected[..<2]))
            KDF.derive3(chainingKey: chainingKey, input: input, into: &first, &second, &third)
            #expect([first, second, third].map(KeyText.hex) == expected)
        }
    }

    @Test func `An output may be the chaining key itself`() {
        var secret = Array("test-key".utf8) + [UInt8](repeating: 0, count: 24)
        secret.withUnsafeMutableBytes { chainingKey in
            Array("test-input".utf8).withUnsafeBytes { input in
                guard let base = chainingKey.baseAddress else { return }
                KDF.derive1(chainingKey: base, input: input, into: base)
            }
        }
        #expect(KeyText.hex(secret) == "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633")
    }
}
