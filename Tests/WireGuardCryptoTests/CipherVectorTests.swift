import CTrainCipher
import Testing

@testable import WireGuardCrypto

extension CipherImplementation {
    /// Our own ones that this machine can run.
    static let vectorised = available.filter { $0 != .composed }
}

/// Poly1305 of whole blocks by the code under the train cipher.
func mac(_ implementation: CipherImplementation, _ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    var tag = [UInt8](repeating: 0, count: 16)
    withScratch { scratch in
        message.withUnsafeBufferPointer { message in
            guard let text = message.baseAddress else { return }
            let (length, last) = (message.count - 16, text + (message.count - 16))
            switch implementation {
            case .avx2: swg_train_avx2_mac(key, text, length, last, &tag, scratch)
            case .avx512: swg_train_avx512_mac(key, text, length, last, &tag, scratch)
            case .composed: break
            }
        }
    }
    return tag
}

private func withScratch(_ body: (UnsafeMutableRawPointer) -> Void) {
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: Int(SWG_TRAIN_SCRATCH_BYTES), alignment: 64)
    body(scratch)
    scratch.deallocate()
}

/// The two halves of our cipher on the vectors of RFC 8439.
@Suite struct CipherVectorTests {
    @Test(arguments: CipherImplementation.vectorised, RFC8439.streams)
    func `RFC 8439 sections 2.3, 2.4, A.1 and A.2`(_ implementation: CipherImplementation, _ vector: RFC8439.Stream) {
        let text = hex(vector.text)
        let stream = keystream(
            implementation, hex(vector.key), hex(vector.nonce), vector.counter, (text.count + 63) / 64)
        #expect(zip(text, stream).map { $0 ^ $1 } == hex(vector.result))
    }

    @Test(arguments: CipherImplementation.vectorised, RFC8439.oneTimeKeys)
    func `RFC 8439 section 2.6 and A.4`(_ implementation: CipherImplementation, _ vector: RFC8439.OneTimeKey) {
        let stream = keystream(implementation, hex(vector.key), hex(vector.nonce), 0, 1)
        #expect(Array(stream[..<32]) == hex(vector.result))
    }

    /// Those of whole blocks: all the carries among them. A data packet's MAC input is whole blocks, always.
    @Test(arguments: CipherImplementation.vectorised, RFC8439.macs.filter { hex($0.message).count % 16 == 0 })
    func `RFC 8439 section A.3`(_ implementation: CipherImplementation, _ vector: RFC8439.MAC) {
        #expect(mac(implementation, hex(vector.key), hex(vector.message)) == hex(vector.tag))
    }

    /// The construction of RFC 8439 section 2.8 from the two halves, as data packets have no additional data and a nonce
    /// that begins with zeros, which none of these cases has.
    @Test(
        .enabled(if: VectorFiles.areThere, "no vector files: set SWG_VECTORS"),
        arguments: CipherImplementation.vectorised)
    func `All Wycheproof cases of ChaCha20-Poly1305`(_ implementation: CipherImplementation) throws {
        let file = try VectorFiles.read(
            "wycheproof/chacha20_poly1305_test.json", as: WycheproofFile<WycheproofAEAD>.self)
        var (valid, invalid) = (0, 0)
        for vector in file.cases where vector.iv.count == 24 {
            let (key, nonce, text, aad) = (hex(vector.key), hex(vector.iv), hex(vector.msg), hex(vector.aad))
            let stream = keystream(implementation, key, nonce, 0, 1 + (text.count + 63) / 64)
            let sealed = zip(text, stream.dropFirst(64)).map { $0 ^ $1 }
            let lengths = [aad.count, sealed.count].flatMap { count in (0..<8).map { UInt8(count >> ($0 * 8) & 0xff) } }
            let tag = mac(implementation, Array(stream[..<32]), padded(aad) + padded(sealed) + lengths)
            let isRight = sealed == hex(vector.ct) && tag == hex(vector.tag)
            #expect(isRight == (vector.result == "valid"), "case \(vector.tcId)")
            if vector.result == "valid" { valid += 1 } else { invalid += 1 }
        }
        #expect(valid > 250 && invalid > 40)
    }

    private func padded(_ bytes: [UInt8]) -> [UInt8] { bytes + [UInt8](repeating: 0, count: -bytes.count & 15) }

    @Test(arguments: CipherImplementation.vectorised)
    func `A key stream is the same however many blocks are asked for`(
        _ implementation: CipherImplementation
    ) {
        let (key, nonce) = ([UInt8](0..<32), [UInt8](0..<12))
        let whole = keystream(implementation, key, nonce, 5, 192)
        for blocks in [1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 33, 191] {
            #expect(keystream(implementation, key, nonce, 5, blocks) == Array(whole[..<(blocks * 64)]))
        }
    }

    @Test func `The packet's layout is that of the C structure`() {
        #expect(MemoryLayout<CipherPacket>.stride == MemoryLayout<swg_cipher_packet>.stride)
        #expect(MemoryLayout<CipherPacket>.alignment == MemoryLayout<swg_cipher_packet>.alignment)
        #expect(MemoryLayout<CipherPacket>.offset(of: \.text) == MemoryLayout<swg_cipher_packet>.offset(of: \.text))
        #expect(
            MemoryLayout<CipherPacket>.offset(of: \.counter) == MemoryLayout<swg_cipher_packet>.offset(of: \.counter))
        #expect(MemoryLayout<CipherPacket>.offset(of: \.length) == MemoryLayout<swg_cipher_packet>.offset(of: \.length))
        #expect(
            MemoryLayout<CipherPacket>.offset(of: \.isAuthentic)
                == MemoryLayout<swg_cipher_packet>.offset(of: \.authentic))
        #expect(
            MemoryLayout<CipherPacket>.offset(of: \.isOpened) == MemoryLayout<swg_cipher_packet>.offset(of: \.opened))
    }

    private func keystream(
        _ implementation: CipherImplementation, _ key: [UInt8], _ nonce: [UInt8], _ counter: UInt32, _ blocks: Int
    ) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: blocks * 64)
        let words = nonce.withUnsafeBytes { bytes in
            (0..<3).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
        }
        withScratch { scratch in
            switch implementation {
            case .avx2: swg_train_avx2_keystream(key, words, counter, blocks, &output, scratch)
            case .avx512: swg_train_avx512_keystream(key, words, counter, blocks, &output, scratch)
            case .composed: break
            }
        }
        return output
    }
}
