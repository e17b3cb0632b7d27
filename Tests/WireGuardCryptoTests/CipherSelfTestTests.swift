import Testing

@testable import WireGuardCrypto

/// The check at start, with faults put into what it looks at.
@Suite struct CipherSelfTestTests {
    @Test func `It passes what is right, and the fastest is chosen`() {
        #expect(CipherImplementation.available == CipherImplementation.allCases.filter(\.isSupported))
        #expect(CipherImplementation.available.allSatisfy(CipherSelfTest.passes))
        #expect(CipherImplementation.fastest == CipherImplementation.available.last)
        #expect(TrainCipher().implementation == CipherImplementation.fastest)
    }

    @Test func `What fails it is not used: the next width is, or libsodium, which is never asked`() {
        let vectorised = CipherImplementation.allCases.filter { $0.isSupported && $0 != .composed }
        let second = CipherImplementation.choose { $0 != vectorised.last }
        #expect(second.fastest == (vectorised.dropLast().last ?? .composed))
        #expect(second.refused == Array(vectorised.suffix(1)))
        var asked: [CipherImplementation] = []
        let none = CipherImplementation.choose {
            asked.append($0)
            return false
        }
        #expect(none.fastest == .composed)
        #expect(none.refused == vectorised.reversed())
        #expect(asked == vectorised.reversed())
    }

    @Test func `At the start nothing slower than what is used takes time`() {
        var asked: [CipherImplementation] = []
        let all = CipherImplementation.choose {
            asked.append($0)
            return true
        }
        #expect(all.refused.isEmpty)
        #expect(asked == (all.fastest == .composed ? [] : [all.fastest]))
    }

    enum Fault: CaseIterable {
        case wrongCiphertext, wrongTag, acceptsSpoiled, touchesSpoiled, refusesGood, wrongPlaintext
    }

    @Test(arguments: Fault.allCases, [0, 1, 50, 130])
    func `A single wrong answer fails it, whichever packet gets it`(_ fault: Fault, _ place: Int) {
        var cipher = TrainCipher(.composed)
        var candidates = 0
        /// Whether this is the one packet.
        func hits(_ isCandidate: Bool) -> Bool {
            if isCandidate { candidates += 1 }
            return isCandidate && candidates == place + 1
        }
        let passed = CipherSelfTest.passes(
            seal: { packets, count, key in
                cipher.seal(packets, count: count, key: key)
                for packet in UnsafeBufferPointer(start: packets, count: count) where packet.length > 0 {
                    if hits(fault == .wrongCiphertext) { packet.text[Int(packet.length) - 1] ^= 0x80 }
                    if hits(fault == .wrongTag) { packet.text[Int(packet.length) + 15] ^= 1 }
                }
            },
            open: { packets, count, key in
                cipher.open(packets, count: count, key: key) { _ in true }
                for index in 0..<count where packets[index].length > 0 {
                    let isOpened = packets[index].isOpened
                    if hits(fault == .acceptsSpoiled && !isOpened) { packets[index].isOpened = true }
                    if hits(fault == .touchesSpoiled && !isOpened) { packets[index].text[0] ^= 1 }
                    if hits(fault == .refusesGood && isOpened) { packets[index].isOpened = false }
                    if hits(fault == .wrongPlaintext && isOpened) { packets[index].text[0] ^= 1 }
                }
            })
        #expect(!passed)
        #expect(candidates > place)
    }
}
