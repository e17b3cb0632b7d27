import IPAddressing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuardEngine

/// The wire between simulated devices: how bad it is at the moment, and what has been seen on it.
struct SimulatedNetwork {
    /// Of 1000 datagrams.
    var lost = 0
    var duplicated = 0
    var corrupted = 0
    var replayed = 0
    var forged = 0
    /// Nanoseconds.
    var delay: ClosedRange<UInt64> = 1_000_000...2_000_000
    /// Pairs of device numbers that cannot reach each other.
    var partitions: Set<[Int]> = []
    /// Who listens where, for an attacker who knows.
    var publicKeys: [Endpoint: PublicKey] = [:]
    private var recorded: [Datagram] = []

    mutating func becomeRandom(_ generator: inout SeededGenerator) {
        func some(_ limit: Int) -> Int { generator.oneIn(2) ? 0 : generator.below(limit) }
        lost = some(400)
        duplicated = some(300)
        corrupted = some(200)
        replayed = some(200)
        forged = some(100)
        let least = UInt64(100_000 + generator.below(20_000_000))
        delay = least...(least + UInt64(generator.oneIn(2) ? 1_000_000 : 1_500_000_000))
    }

    /// The copies of a datagram that arrive, each after its delay.
    mutating func transmit(_ datagram: Datagram, _ generator: inout SeededGenerator) -> [(
        delay: UInt64, datagram: Datagram
    )] {
        var arriving: [(UInt64, Datagram)] = []
        if recorded.count < 64 { recorded.append(datagram) } else { recorded[generator.below(64)] = datagram }
        if generator.below(1000) >= lost { arriving.append((randomDelay(&generator), datagram)) }
        if generator.below(1000) < duplicated { arriving.append((randomDelay(&generator), datagram)) }
        if generator.below(1000) < corrupted {
            arriving.append((randomDelay(&generator), corrupt(datagram, &generator)))
        }
        if generator.below(1000) < replayed {
            // From where it came, or it would be an attacker who wins races, against whom endpoints roam.
            arriving.append((randomDelay(&generator) + 3_000_000_000, recorded[generator.below(recorded.count)]))
        }
        if generator.below(1000) < forged, let spliced = splice(datagram, &generator) {
            arriving.append((randomDelay(&generator), spliced))
        }
        if generator.below(1000) < forged {
            var forgery = datagram
            forgery.bytes = [UInt8(1 + generator.below(4)), 0, 0, 0] + generator.bytes(28 + generator.below(120))
            arriving.append((randomDelay(&generator), forgery))
        }
        return arriving
    }

    /// What anybody can make who knows the receiver's public key: a real handshake message whose last sealed part is
    /// garbage, under a first MAC that is right, from elsewhere.
    private func splice(_ datagram: Datagram, _ generator: inout SeededGenerator) -> Datagram? {
        guard let kind = datagram.kind, let key = publicKeys[datagram.destination] else { return nil }
        var copy = datagram
        switch kind {
        case .initiation: copy.bytes[Message.Initiation.encryptedTimestamp + generator.below(28)] ^= 1
        case .response: copy.bytes[Message.Response.encryptedNothing + generator.below(16)] ^= 1
        case .cookieReply, .data: return nil
        }
        copy.source = Endpoint(address: copy.source.address, port: UInt16(1 + generator.below(65535)))
        copy.bytes.withUnsafeMutableBytes { bytes in
            let end = bytes.count - Message.macsByteCount
            DerivedKeys.withKey(.mac1, of: key) { derived in
                BLAKE2s.mac(
                    key: derived, UnsafeRawBufferPointer(rebasing: bytes[..<end]), into: bytes.baseAddress! + end)
            }
        }
        return copy
    }

    private func randomDelay(_ generator: inout SeededGenerator) -> UInt64 {
        delay.lowerBound + generator.next() % (delay.upperBound - delay.lowerBound + 1)
    }

    /// Changed, cut or lengthened; from another address sometimes.
    private func corrupt(_ datagram: Datagram, _ generator: inout SeededGenerator) -> Datagram {
        var copy = datagram
        switch generator.below(4) {
        case 0: copy.bytes.removeLast(min(copy.bytes.count, 1 + generator.below(20)))
        case 1: copy.bytes += generator.bytes(1 + generator.below(20))
        default:
            guard !copy.bytes.isEmpty else { return copy }
            let index = generator.below(copy.bytes.count)
            copy.bytes[index] ^= UInt8(1 << generator.below(8))
            // Nobody looks at mac2 without load: such a message is authentic, from wherever it comes.
            if index >= copy.bytes.count - 16, copy.kind == .initiation || copy.kind == .response { return copy }
        }
        if generator.oneIn(2) {
            copy.source = Endpoint(address: copy.source.address, port: UInt16(1 + generator.below(65535)))
        }
        return copy
    }
}
