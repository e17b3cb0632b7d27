import Glibc
import Testing

@testable import WireGuardCrypto

@Suite struct X25519Tests {
    @Test(arguments: [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
        ),
    ])
    func `RFC 7748 section 5.2: single steps`(_ scalar: String, _ point: String, _ result: String) {
        #expect(sharedSecret(hex(scalar), hex(point)).map(KeyText.hex) == result)
    }

    @Test func `RFC 7748 section 5.2: after 1 and 1,000 iterations`() {
        #expect(iterated(1) == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
        #expect(iterated(1_000) == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
    }

    @Test(.enabled(if: getenv("SWG_FULL").map { $0.pointee != 0 } == true, "takes half a minute: only with --full"))
    func `RFC 7748 section 5.2: after 1,000,000 iterations`() {
        #expect(iterated(1_000_000) == "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424")
    }

    @Test func `RFC 7748 section 6.1: both sides agree`() {
        let alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
        let bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
        let (alicePublic, bobPublic) = (publicKey(alice), publicKey(bob))
        #expect(KeyText.hex(alicePublic) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        #expect(KeyText.hex(bobPublic) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        #expect(sharedSecret(alice, bobPublic).map(KeyText.hex) == shared)
        #expect(sharedSecret(bob, alicePublic).map(KeyText.hex) == shared)
    }

    @Test(.enabled(if: VectorFiles.areThere, "no vector files: set SWG_VECTORS"))
    func `N6: all 518 Wycheproof cases, and each zero result refused`() throws {
        let file = try VectorFiles.read("wycheproof/x25519_test.json", as: WycheproofFile<WycheproofX25519>.self)
        #expect(file.cases.count == 518)
        var refused = 0
        for vector in file.cases {
            let isZero = vector.shared.allSatisfy { $0 == "0" }
            let answer = sharedSecret(hex(vector.private), hex(vector.public))
            #expect(answer.map(KeyText.hex) == (isZero ? nil : vector.shared), "case \(vector.tcId)")
            if answer == nil { refused += 1 }
        }
        #expect(refused == 31)
    }

    @Test func `N6: a refused result leaves zeros behind, not what was there`() {
        var output = [UInt8](repeating: 0xaa, count: 32)
        let good = X25519.sharedSecret(
            privateKey: [UInt8](repeating: 1, count: 32), publicKey: [UInt8](repeating: 0, count: 32), into: &output)
        #expect(!good)
        #expect(output == [UInt8](repeating: 0, count: 32))
    }

    @Test func `Keys of our own types agree, too`() throws {
        let (mine, theirs) = (PrivateKey.generate(), PrivateKey.generate())
        var (left, right) = ([UInt8](repeating: 0, count: 32), [UInt8](repeating: 0, count: 32))
        #expect(mine.sharedSecret(with: theirs.publicKey, into: &left))
        #expect(theirs.sharedSecret(with: mine.publicKey, into: &right))
        #expect(left == right)
        let low = try #require(PublicKey(bytes: [UInt8](repeating: 0, count: 32)))
        #expect(!mine.sharedSecret(with: low, into: &left))
    }

    private func sharedSecret(_ scalar: [UInt8], _ point: [UInt8]) -> [UInt8]? {
        var output = [UInt8](repeating: 0, count: 32)
        return X25519.sharedSecret(privateKey: scalar, publicKey: point, into: &output) ? output : nil
    }

    private func publicKey(_ scalar: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: 32)
        X25519.publicKey(privateKey: scalar, into: &output)
        return output
    }

    private func iterated(_ count: Int) -> String {
        var scalar = [UInt8](repeating: 0, count: 32)
        scalar[0] = 9
        var (point, output) = (scalar, scalar)
        for _ in 0..<count {
            _ = X25519.sharedSecret(privateKey: scalar, publicKey: point, into: &output)
            swap(&point, &scalar)
            swap(&scalar, &output)
        }
        return KeyText.hex(scalar)
    }
}
