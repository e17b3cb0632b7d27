import Glibc
import Testing

@testable import WireGuardCrypto

/// All our ciphers against libsodium's AEAD call on the same random trains, bit for bit.
@Suite struct CipherDifferentialTests {
    /// Packets of one lane: each is sealed and opened by every implementation. Two lanes of a million are six
    /// million cases on each Tests/run (where the compiler optimises), ten times as many with --full.
    private static let packetCount: Int = {
        #if DEBUG
            return 3_000
        #else
            return getenv("SWG_FULL").map { $0.pointee != 0 } == true ? 10_000_000 : 1_000_000
        #endif
    }()

    @Test(arguments: [0x7261_696e, 0x7365_616c])
    func `Random trains: lengths, sizes, counters, alignments and tampering`(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var ciphers = Ciphers()
        let train = DifferentialTrain()
        var packets = 0
        var wrong: [String] = []
        while packets < Self.packetCount && wrong.count < 3 {
            train.fill(&random)
            packets += train.count
            for implementation in CipherImplementation.available {
                if let fault = ciphers.fault(of: implementation, on: train) {
                    wrong.append("\(implementation) \(fault), lengths \(train.lengths)")
                }
            }
        }
        #expect(wrong.isEmpty)
        print("differential: \(packets) packets, each by \(CipherImplementation.available.count) ciphers and libsodium")
    }

    /// One cipher of each kind, kept over all trains: what a train leaves behind must not show in the next.
    private struct Ciphers: ~Copyable {
        private var composed = TrainCipher(.composed)
        private var avx2 = TrainCipher(.avx2)
        private var avx512 = TrainCipher(.avx512)

        mutating func fault(of implementation: CipherImplementation, on train: DifferentialTrain) -> String? {
            switch implementation {
            case .composed: train.fault(of: &composed)
            case .avx2: train.fault(of: &avx2)
            case .avx512: train.fault(of: &avx512)
            }
        }
    }
}
