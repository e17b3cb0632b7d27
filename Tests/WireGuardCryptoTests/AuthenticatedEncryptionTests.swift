import CSodium
import Testing

@testable import WireGuardCrypto

@Suite struct AuthenticatedEncryptionTests {
    @Test(arguments: RFC8439.aeads)
    func `RFC 8439 section 2.8.2 and A.5`(_ vector: RFC8439.AEAD) {
        check(
            key: vector.key, nonce: vector.nonce, aad: vector.aad, text: vector.text, sealed: vector.sealed,
            isValid: true,
            vector.name, seal, open)
    }

    @Test(arguments: RFC8439.streams)
    func `RFC 8439 sections 2.3, 2.4, A.1 and A.2: the stream cipher under the composed form`(_ vector: RFC8439.Stream)
    {
        var result = hex(vector.text)
        crypto_stream_chacha20_ietf_xor_ic(
            &result, hex(vector.text), UInt64(result.count), hex(vector.nonce), vector.counter, hex(vector.key))
        #expect(result == hex(vector.result))
    }

    @Test(arguments: RFC8439.oneTimeKeys)
    func `RFC 8439 section 2.6 and A.4: block 0 is the one-time key`(_ vector: RFC8439.OneTimeKey) {
        var block = [UInt8](repeating: 0, count: 64)
        crypto_stream_chacha20_ietf(&block, 64, hex(vector.nonce), hex(vector.key))
        #expect(Array(block[..<32]) == hex(vector.result))
    }

    @Test(arguments: RFC8439.macs)
    func `RFC 8439 section 2.5 and A.3: the MAC under the composed form`(_ vector: RFC8439.MAC) {
        var tag = [UInt8](repeating: 0, count: 16)
        let message = hex(vector.message)
        crypto_onetimeauth_poly1305(&tag, message, UInt64(message.count), hex(vector.key))
        #expect(tag == hex(vector.tag))
    }

    @Test func `XChaCha draft section 2.2.1: HChaCha20`() {
        var output = [UInt8](repeating: 0, count: 32)
        crypto_core_hchacha20(&output, hex("000000090000004a0000000031415927"), Array(0..<32), nil)
        #expect(KeyText.hex(output) == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc")
    }

    @Test func `XChaCha draft A.3.1: the AEAD`() {
        let sealed = """
            bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39
            ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
            21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49
            """
        check(
            key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            nonce: "404142434445464748494a4b4c4d4e4f5051525354555657", aad: "50515253c0c1c2c3c4c5c6c7",
            text: RFC8439.aeads[0].text, sealed: sealed, isValid: true, "A.3.1", sealExtended, openExtended)
    }

    @Test(.enabled(if: VectorFiles.areThere, "no vector files: set SWG_VECTORS"))
    func `All Wycheproof cases of ChaCha20-Poly1305`() throws {
        let file = try VectorFiles.read(
            "wycheproof/chacha20_poly1305_test.json", as: WycheproofFile<WycheproofAEAD>.self)
        #expect(file.cases.count == 325)
        for vector in file.cases { check(vector, nonceByteCount: 12, seal, open) }
    }

    @Test(.enabled(if: VectorFiles.areThere, "no vector files: set SWG_VECTORS"))
    func `C3: all Wycheproof cases of XChaCha20-Poly1305`() throws {
        let file = try VectorFiles.read(
            "wycheproof/xchacha20_poly1305_test.json", as: WycheproofFile<WycheproofAEAD>.self)
        #expect(file.cases.count == 315)
        for vector in file.cases { check(vector, nonceByteCount: 24, sealExtended, openExtended) }
    }

    @Test func `N5: the nonce is four zero bytes and the little-endian counter`() {
        let nonce = ChaCha20Poly1305.withNonce(0x0102_0304_0506_0708) {
            Array(UnsafeBufferPointer(start: $0, count: 12))
        }
        #expect(nonce == [0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1])
    }

    @Test func `What is shorter than a tag is refused`() {
        let key = [UInt8](repeating: 1, count: 32)
        var output = [UInt8](repeating: 0, count: 1)
        for count in 0..<16 {
            let sealed = [UInt8](repeating: 0, count: count)
            let good = sealed.withUnsafeBytes {
                ChaCha20Poly1305.open($0, counter: 0, authenticating: .empty, key: key, into: &output)
            }
            #expect(!good)
        }
        #expect(!ChaCha20Poly1305.open(.empty, counter: 0, authenticating: .empty, key: key, into: &output))
    }

    private typealias Seal = (_ text: [UInt8], _ nonce: [UInt8], _ aad: [UInt8], _ key: [UInt8]) -> [UInt8]
    private typealias Open = (_ sealed: [UInt8], _ nonce: [UInt8], _ aad: [UInt8], _ key: [UInt8]) -> [UInt8]?

    private func seal(_ text: [UInt8], _ nonce: [UInt8], _ aad: [UInt8], _ key: [UInt8]) -> [UInt8] {
        // In place, as the handshake does.
        var memory = text + [UInt8](repeating: 0, count: 16)
        memory.withUnsafeMutableBytes { memory in
            aad.withUnsafeBytes { aad in
                guard let base = memory.baseAddress else { return }
                let input = UnsafeRawBufferPointer(start: base, count: text.count)
                ChaCha20Poly1305.seal(input, nonce: nonce, authenticating: aad, key: key, into: base)
            }
        }
        return memory
    }

    private func open(_ sealed: [UInt8], _ nonce: [UInt8], _ aad: [UInt8], _ key: [UInt8]) -> [UInt8]? {
        var text = [UInt8](repeating: 0xaa, count: sealed.count)
        let good = sealed.withUnsafeBytes { sealed in
            aad.withUnsafeBytes {
                ChaCha20Poly1305.open(sealed, nonce: nonce, authenticating: $0, key: key, into: &text)
            }
        }
        return good ? Array(text[..<(sealed.count - 16)]) : nil
    }

    private func sealExtended(_ text: [UInt8], _ nonce: [UInt8], _ aad: [UInt8], _ key: [UInt8]) -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: text.count + 16)
        text.withUnsafeBytes { text in
            aad.withUnsafeBytes {
                XChaCha20Poly1305.seal(text, nonce: nonce, authenticating: $0, key: key, into: &sealed)
            }
        }
        return sealed
    }

    private func openExtended(_ sealed: [UInt8], _ nonce: [UInt8], _ aad: [UInt8], _ key: [UInt8]) -> [UInt8]? {
        var text = [UInt8](repeating: 0xaa, count: sealed.count)
        let good = sealed.withUnsafeBytes { sealed in
            aad.withUnsafeBytes {
                XChaCha20Poly1305.open(sealed, nonce: nonce, authenticating: $0, key: key, into: &text)
            }
        }
        return good ? Array(text[..<(sealed.count - 16)]) : nil
    }

    private func check(_ vector: WycheproofAEAD, nonceByteCount: Int, _ seal: Seal, _ open: Open) {
        // Nonces of other lengths have no meaning for us: the API takes only the right one.
        guard vector.iv.count == nonceByteCount * 2 else { return }
        check(
            key: vector.key, nonce: vector.iv, aad: vector.aad, text: vector.msg, sealed: vector.ct + vector.tag,
            isValid: vector.result == "valid", "case \(vector.tcId)", seal, open)
    }

    private func check(
        key: String, nonce: String, aad: String, text: String, sealed: String, isValid: Bool, _ name: String,
        _ seal: Seal,
        _ open: Open
    ) {
        let (key, nonce, aad, text, sealed) = (hex(key), hex(nonce), hex(aad), hex(text), hex(sealed))
        #expect((seal(text, nonce, aad, key) == sealed) == isValid, "\(name)")
        #expect(open(sealed, nonce, aad, key) == (isValid ? text : nil), "\(name)")
    }

    @Test func `M4: an empty text is its tag, and nothing shorter than a tag opens`() {
        let key = [UInt8](repeating: 7, count: 32)
        let nonce = [UInt8](repeating: 9, count: 24)
        var sealed = [UInt8](repeating: 0, count: 16)
        var output: UInt8 = 0
        ChaCha20Poly1305.seal(.empty, counter: 5, authenticating: .empty, key: key, into: &sealed)
        for length in 0...16 {
            let opens = sealed[..<length].withUnsafeBytes {
                ChaCha20Poly1305.open($0, counter: 5, authenticating: .empty, key: key, into: &output)
            }
            #expect(opens == (length == 16))
        }
        XChaCha20Poly1305.seal(.empty, nonce: nonce, authenticating: .empty, key: key, into: &sealed)
        for length in 0...16 {
            let opens = sealed[..<length].withUnsafeBytes {
                XChaCha20Poly1305.open($0, nonce: nonce, authenticating: .empty, key: key, into: &output)
            }
            #expect(opens == (length == 16))
        }
    }
}
