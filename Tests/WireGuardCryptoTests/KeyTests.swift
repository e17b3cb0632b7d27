import Testing

@testable import WireGuardCrypto

@Suite struct KeyTests {
    private let base64 = "d8/lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnQ="
    private let hexText = "77cfe5277357aa9894f0c5958453d91d5b19dce3fbccc6c61dbf59b4e2d5c274"

    @Test func `Keys read and write base64 and hexadecimal`() throws {
        let key = try #require(PublicKey(base64: base64))
        #expect(key.hex == hexText)
        #expect(PublicKey(hex: hexText) == key)
        #expect(PublicKey(hex: hexText.uppercased()) == key)
        #expect(key.base64 == base64 && "\(key)" == base64)
    }

    @Test(arguments: [
        "", "d8/lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnQ", "d8/lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnQ==",
        "d8/lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnR=", "d8-lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnQ=",
        " 8/lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnQ=", "d8/lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnQ=\n",
        "d8/lJ3NXqpiU8MWVhFPZHVsZ3OP7zMbGHb9ZtOLVwnQä",
    ])
    func `Text that is not exactly one key is refused`(_ text: String) {
        #expect(PublicKey(base64: text) == nil)
        #expect(PrivateKey(base64: text) == nil)
        #expect(PresharedKey(base64: text) == nil)
    }

    @Test func `Hexadecimal of another length or alphabet is refused`() {
        for text in [String(hexText.dropLast()), hexText + "0", String(hexText.dropLast()) + "g", ""] {
            #expect(PublicKey(hex: text) == nil)
            #expect(PrivateKey(hex: text) == nil)
            #expect(PresharedKey(hex: text) == nil)
        }
    }

    @Test func `N7: a private key is clamped when it is set`() throws {
        let key = try #require(PrivateKey(hex: String(repeating: "ff", count: 32)))
        let bytes = key.secret.withBytes { Array($0) }
        #expect(bytes[0] == 0xf8 && bytes[31] == 0x7f)
        #expect(bytes[1..<31].allSatisfy { $0 == 0xff })
        let low = try #require(PrivateKey(hex: "07" + String(repeating: "00", count: 31)))
        #expect(low.secret.withBytes { $0[0] == 0 && $0[31] == 0x40 })
    }

    @Test func `A6: zeros are no key`() {
        let zeros = String(repeating: "00", count: 32)
        #expect(PrivateKey(hex: zeros) == nil)
        #expect(PresharedKey(hex: zeros) == nil)
        #expect(PublicKey(hex: zeros) != nil)
    }

    @Test func `P3: no description, dump or error text shows a secret`() throws {
        let key = try #require(PrivateKey(hex: hexText))
        let preshared = try #require(PresharedKey(hex: hexText))
        var dumped = ""
        dump(key, to: &dumped)
        dump(preshared, to: &dumped)
        let texts = [
            dumped, "\(key)", "\(preshared)", String(reflecting: key), "\(key.secret)", String(reflecting: key.secret),
        ]
        let secret = key.secret.withBytes { Array($0) }
        for text in texts {
            #expect(!text.contains(KeyText.base64(secret)) && !text.contains(KeyText.hex(secret)))
            #expect(!text.contains(base64) && !text.lowercased().contains(hexText))
            // Nor a run of its bytes as numbers.
            #expect(!text.contains("\(secret[5])") || !text.contains("\(secret[6])") || !text.contains("\(secret[7])"))
        }
    }

    @Test func `N12: the slot of a released secret is wiped`() throws {
        var secret: SecretBytes? = SecretBytes { $0.copyBytes(from: [UInt8](repeating: 0x5a, count: 32)) }
        let slot = try #require(secret?.slot)
        #expect(slot.load(as: UInt8.self) == 0x5a)
        secret = nil
        // Another test may hold the slot by now, with bytes of its own: a few may agree by chance.
        #expect((0..<32).count { slot.load(fromByteOffset: $0, as: UInt8.self) == 0x5a } < 8)
    }

    @Test func `Slots do not overlap`() {
        let secrets = (0..<5_000).map { index in
            SecretBytes { $0.storeBytes(of: UInt64(index), toByteOffset: 24, as: UInt64.self) }
        }
        for (index, secret) in secrets.enumerated() {
            #expect(secret.withBytes { $0.load(fromByteOffset: 24, as: UInt64.self) } == UInt64(index))
        }
        #expect(Set(secrets.map(\.slot)).count == secrets.count)
    }

    @Test func `Generated keys differ and are clamped`() {
        let keys = (0..<50).map { _ in PrivateKey.generate() }
        #expect(Set(keys.map(\.publicKey)).count == 50)
        #expect(keys.allSatisfy { $0.secret.withBytes { $0[0] & 7 == 0 && $0[31] & 0xc0 == 0x40 } })
    }
}
