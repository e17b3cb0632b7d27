import Testing
import WireGuardCrypto

@Suite struct SecretTextTests {
    /// The bytes behind the text, which nobody sees but whoever reads the process's memory.
    static func spare(_ text: inout SecretText) -> [UInt8] {
        var bytes: [UInt8] = []
        _ = text.appendFilling(room: 1) { room in
            bytes = Array(room)
            return 0
        }
        return bytes
    }

    @Test func `P3: removed text is wiped, and the rest moves to the front`() {
        var text = SecretText()
        text.append("private_key=secret\nlisten_port=1\n")
        text.removeFirst(19)
        let rest = text.withBytes { String(decoding: $0, as: UTF8.self) }
        #expect(rest == "listen_port=1\n")
        #expect(SecretTextTests.spare(&text).allSatisfy { $0 == 0 })
        text.removeAll()
        let isEmpty = text.isEmpty
        #expect(isEmpty)
        #expect(SecretTextTests.spare(&text).allSatisfy { $0 == 0 })
    }

    @Test func `text grows over pages and stays what it was`() {
        var text = SecretText(capacity: 1)
        var expected = ""
        for number in 0..<5000 {
            text.append(decimal: UInt32(number))
            text.append("\n")
            expected += "\(number)\n"
        }
        let result = text.withBytes { String(decoding: $0, as: UTF8.self) }
        #expect(result == expected)
        text.append(decimal: UInt64.max)
        let end = text.withBytes { String(decoding: $0.suffix(20), as: UTF8.self) }
        #expect(end == "18446744073709551615")
    }

    @Test func `keys are written as they are read`() throws {
        let key = PrivateKey.generate()
        var text = SecretText()
        text.append(base64Of: key.secret)
        text.append(hexOf: key.secret)
        text.append(hexOf: key.publicKey)
        let (base64, hex, publicHex) = text.withBytes { bytes in
            (
                SecretBytes.decoding(base64: UnsafeRawBufferPointer(rebasing: bytes[..<44])),
                SecretBytes.decoding(hex: UnsafeRawBufferPointer(rebasing: bytes[44..<108])),
                PublicKey(hex: UnsafeRawBufferPointer(rebasing: bytes[108...]))
            )
        }
        #expect(base64 == key.secret)
        #expect(hex == key.secret)
        #expect(publicHex == key.publicKey)
    }
}
