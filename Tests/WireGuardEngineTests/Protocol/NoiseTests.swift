import IPAddressing
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

@Suite struct NoiseTests {
    private func hex(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            bytes.append(UInt8(rest.prefix(2), radix: 16)!)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    private func locked(_ bytes: [UInt8]) -> LockedKey {
        let key = LockedKey()
        bytes.withUnsafeBytes { key.replace(with: $0.baseAddress!) }
        return key
    }

    private func initialState(prologue: [UInt8], responder: PublicKey) -> NoiseSymmetricState {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: prologue.count, alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: prologue)
        return NoiseSymmetricState(prologue: UnsafeRawBufferPointer(memory), responder: responder)
    }

    /// Cacophony's vector (mcginty/snow tests/vectors/cacophony.txt).
    @Test func `N1, N2, N3, N4, N5: the handshake is Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s`() {
        let prologue = hex("4a6f686e2047616c74")
        let psk = hex("54686973206973206d7920417573747269616e20706572737065637469766521")
        let initiator = PrivateKey(hex: "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1")!
        let responder = PrivateKey(hex: "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893")!
        #expect(responder.publicKey.hex == "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62")
        let initiation = hex(
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527207feb56253c9c94a9e496782ecfcb2a75fbcaf1b52948cc48daefe660c62119ab5000980c84831215f2441eba616548e832985464cf17e51ee93109008399a21f7e13f"
        )
        let response = hex(
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f007572dab0322217755c0632f365717edbf34d33e87a"
        )
        let ephemeralI = locked(hex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"))
        let ephemeralR = locked(hex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"))
        let staticStatic = LockedKey()
        #expect(initiator.sharedSecret(with: responder.publicKey, into: staticStatic.pointer))

        let stateI = initialState(prologue: prologue, responder: responder.publicKey)
        var written = [UInt8](repeating: 0, count: initiation.count)
        let wroteInitiation = written.withUnsafeMutableBytes { bytes in
            hex("4c756477696720766f6e204d69736573").withUnsafeBytes { payload in
                NoiseHandshake.writeInitiation(
                    stateI, ephemeral: ephemeralI, localStatic: initiator.publicKey, remoteStatic: responder.publicKey,
                    staticStatic: staticStatic, payload: payload,
                    to: NoiseHandshake.InitiationParts(
                        ephemeral: bytes.baseAddress!, encryptedStatic: bytes.baseAddress! + 32,
                        encryptedPayload: bytes.baseAddress! + 80))
            }
        }
        #expect(wroteInitiation)
        #expect(written == initiation)

        let stateR = initialState(prologue: prologue, responder: responder.publicKey)
        let claimed = initiation.withUnsafeBytes {
            NoiseHandshake.readInitiator(
                stateR, localPrivate: responder, ephemeral: $0.part(0, 32), encryptedStatic: $0.part(32, 48))
        }
        #expect(claimed == initiator.publicKey)
        var payload = [UInt8](repeating: 0, count: 16)
        let readPayload = initiation.withUnsafeBytes { message in
            payload.withUnsafeMutableBytes {
                NoiseHandshake.readInitiationPayload(
                    stateR, staticStatic: staticStatic, encryptedPayload: message.part(80, 32), into: $0.baseAddress!)
            }
        }
        #expect(readPayload)
        #expect(payload == hex("4c756477696720766f6e204d69736573"))

        written = [UInt8](repeating: 0, count: response.count)
        let wroteResponse = written.withUnsafeMutableBytes { bytes in
            hex("4d757272617920526f746862617264").withUnsafeBytes { payload in
                psk.withUnsafeBytes { psk in
                    initiation.withUnsafeBytes { first in
                        NoiseHandshake.writeResponse(
                            stateR, ephemeral: ephemeralR, remoteEphemeral: first.baseAddress!,
                            remoteStatic: initiator.publicKey,
                            preshared: psk, payload: payload,
                            to: NoiseHandshake.ResponseParts(
                                ephemeral: bytes.baseAddress!, encryptedPayload: bytes.baseAddress! + 32))
                    }
                }
            }
        }
        #expect(wroteResponse)
        #expect(written == response)

        payload = [UInt8](repeating: 0, count: 15)
        let readResponse = response.withUnsafeBytes { message in
            psk.withUnsafeBytes { psk in
                payload.withUnsafeMutableBytes {
                    NoiseHandshake.readResponse(
                        stateI, localEphemeral: ephemeralI, localPrivate: initiator, preshared: psk,
                        ephemeral: message.part(0, 32), encryptedPayload: message.part(32, 31), into: $0.baseAddress!)
                }
            }
        }
        #expect(readResponse)
        #expect(payload == hex("4d757272617920526f746862617264"))
        #expect(Array(stateI.hash.buffer) == hex("f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5"))

        let keysI = stateI.split()
        let keysR = stateR.split()
        #expect(
            transport("462e20412e20486179656b", keysI.first, 0)
                == hex("8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"))
        #expect(
            transport("4361726c204d656e676572", keysR.second, 0)
                == hex("07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"))
        #expect(
            transport("4a65616e2d426170746973746520536179", keysI.first, 1)
                == hex("6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d"))
    }

    private func transport(_ payload: String, _ key: borrowing LockedKey, _ counter: UInt64) -> [UInt8] {
        let text = hex(payload)
        var sealed = [UInt8](repeating: 0, count: text.count + 16)
        sealed.withUnsafeMutableBytes { output in
            text.withUnsafeBytes {
                ChaCha20Poly1305.seal(
                    $0, counter: counter, authenticating: .empty, key: key.pointer, into: output.baseAddress!)
            }
        }
        return sealed
    }

    @Test func `N4: with different preshared keys there is no session`() {
        let pair = VirtualPair(presharedKey: .generate())
        var change = DeviceChange()
        var peer = PeerChange(publicKey: pair.a.publicKey)
        peer.presharedKey = .remove
        change.peers = [peer]
        pair.b.apply(change, at: pair.now)
        pair.connect()
        #expect(pair.history.map(\.datagram.kind) == [.initiation, .response])
        #expect(pair.b.delivered.isEmpty)
    }

    @Test func `N4: with the same preshared key there is one`() {
        let pair = VirtualPair(presharedKey: .generate())
        pair.connect()
        #expect(pair.b.delivered.count == 1)
    }

    /// The seven points of small order and their twists (draft-irtf-cfrg-curves; wireguard's netns.sh).
    static let lowOrder = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]

    @Test(arguments: lowOrder)
    func `N6: a peer with a key of low order is accepted, and nothing is ever sent to it`(key: String) {
        let pair = VirtualPair()
        var change = DeviceChange()
        var peer = PeerChange(publicKey: PublicKey(hex: key)!)
        peer.endpoint = VirtualPair.addressB
        peer.persistentKeepaliveSeconds = 1
        peer.allowedIPs = [.add(.everythingIPv4)]
        change.peers = [peer]
        pair.a.apply(change, at: pair.now)
        #expect(pair.a.device.status().configuration.peers.count == 2)
        pair.send(from: pair.a, Packet.ipv4(from: "10.0.0.1", to: "8.8.8.8"))
        pair.run(seconds: 2)
        #expect(pair.history.isEmpty)
    }

    @Test func `N6: an ephemeral key of low order is refused without an answer`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        var forged = pair.a.outbox[0]
        for key in NoiseTests.lowOrder {
            forged.bytes.replaceSubrange(8..<40, with: hex(key))
            let initiation = withMAC1(forged, for: pair.b.publicKey)
            pair.b.runReceive([initiation], at: pair.now.boot)
            pair.b.runControl(at: pair.now)
            #expect(pair.b.outbox.isEmpty)
        }
    }

    private func withMAC1(_ datagram: Datagram, for key: PublicKey) -> Datagram {
        var copy = datagram
        let mac1 = copy.bytes.count - 32
        let head = Array(copy.bytes[..<mac1])
        copy.bytes.withUnsafeMutableBytes { bytes in
            DerivedKeys.withKey(.mac1, of: key) { macKey in
                head.withUnsafeBytes { BLAKE2s.mac(key: macKey, $0, into: bytes.baseAddress! + mac1) }
            }
        }
        return copy
    }

    @Test func `N7: without a private key there is no handshake, in or out`() {
        let pair = VirtualPair()
        var change = DeviceChange()
        change.privateKey = .remove
        pair.b.apply(change, at: pair.now)
        pair.send(from: pair.a)
        pair.run(seconds: 6)
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
        #expect(pair.sent(.response, from: pair.b).isEmpty)
        pair.a.apply(change, at: pair.now)
        pair.run(seconds: 30)
        #expect(pair.sent(.initiation, from: pair.a).count == 2)
        #expect(pair.a.device.status().configuration.privateKey == nil)
        // Nothing is left that was derived from it.
        let derived = pair.a.peer(pair.b.publicKey).pointee.handshake.staticStatic.pointer
        #expect(ConstantTime.isZero(derived, byteCount: 32))
    }

    @Test func `N8: a bad initiation changes nothing of the peer`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        let good = pair.a.outbox[0]
        for offset in 4..<116 {
            var bad = good
            bad.bytes[offset] ^= 1
            if !(4..<8).contains(offset) { bad = withMAC1(bad, for: pair.b.publicKey) }
            bad.source = Endpoint("203.0.113.9:9")!
            pair.b.runReceive([bad], at: pair.now.boot)
            pair.b.runControl(at: pair.now)
        }
        let peer = pair.b.peer(pair.a.publicKey)
        #expect(pair.b.outbox.isEmpty)
        #expect(peer.pointee.path == nil)
        #expect(peer.pointee.row.pointee.acceptedTimestamp == .zero)
        #expect(peer.pointee.row.pointee.receivedBytes.load(ordering: .relaxed) == 0)
        pair.b.runReceive([good], at: pair.now.boot)
        pair.b.runControl(at: pair.now)
        #expect(pair.b.outbox.map(\.kind) == [.response])
    }

    @Test func `N9: a bad response leaves the pending handshake as it was`() {
        let pair = VirtualPair()
        pair.passes = { $0.kind == .initiation }
        pair.send(from: pair.a)
        pair.settle()
        let good = pair.sent(.response, from: pair.b)[0].datagram
        for offset in [8, 12, 20, 43, 44, 59] {
            var bad = good
            bad.bytes[offset] ^= 1
            bad = withMAC1(bad, for: pair.a.publicKey)
            pair.a.runReceive([bad], at: pair.now.boot)
            pair.a.runControl(at: pair.now)
        }
        #expect(pair.a.peer(pair.b.publicKey).current == nil)
        pair.passes = { _ in true }
        pair.a.runReceive([good], at: pair.now.boot)
        pair.settle()
        #expect(pair.b.delivered.count == 1)
    }

    @Test func `N9: a second response to the same initiation does nothing`() {
        let pair = VirtualPair()
        pair.connect()
        let response = pair.sent(.response, from: pair.b)[0].datagram
        let before = pair.a.peer(pair.b.publicKey).current
        pair.a.runReceive([response], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        #expect(pair.a.peer(pair.b.publicKey).current == before)
    }

    @Test func `N10: a wrong mac1 is not answered and reaches no Diffie-Hellman`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        var bad = pair.a.outbox[0]
        bad.bytes[116] ^= 1
        // Not even the timestamp of the proven rest is taken over.
        pair.b.runReceive([bad], at: pair.now.boot)
        pair.b.runControl(at: pair.now)
        #expect(pair.b.outbox.isEmpty)
        #expect(pair.b.peer(pair.a.publicKey).pointee.row.pointee.acceptedTimestamp == .zero)
    }

    @Test func `N11: one wrong bit anywhere in mac1 is noticed`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        for bit in 0..<128 {
            var bad = pair.a.outbox[0]
            bad.bytes[116 + bit / 8] ^= 1 << (bit % 8)
            pair.b.runReceive([bad], at: pair.now.boot)
            pair.b.runControl(at: pair.now)
        }
        #expect(pair.b.outbox.isEmpty)
    }

    @Test func `N12: handshake secrets are gone once the session begins, session keys once both loops let go`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.a.runControl(at: pair.now)
        let peer = pair.a.peer(pair.b.publicKey)
        #expect(peer.isHandshakePending)
        pair.settle()
        #expect(!peer.isHandshakePending)
        let key = peer.current!.pointee.sendKey.pointer
        #expect(!ConstantTime.isZero(key, byteCount: 32))
        let reclaimer = pair.a.device.record.pointee.reclaimer
        reclaimer.loops.pointee.wakesUp(.receive)
        pair.a.device.forgetSessions(at: pair.now)
        pair.a.device.reclaim()
        // rx may still hold the key.
        #expect(!ConstantTime.isZero(key, byteCount: 32))
        reclaimer.loops.pointee.passedBoundary(.receive)
        pair.a.device.reclaim()
        #expect(ConstantTime.isZero(key, byteCount: 32))
        #expect(!reclaimer.isWaiting)
    }

    @Test func `N6: each zero result aborts by itself, whatever another check would say`() {
        let state = NoiseSymmetricState(responder: PrivateKey.generate().publicKey)
        let key = LockedKey()
        RandomSource.system.fill(key.pointer, byteCount: 32)
        let zeros = LockedKey()
        let mixesShared = state.mixSharedSecret(privateKey: key.pointer, publicKey: zeros.pointer)
        let mixesPrecomputed = state.mixPrecomputed(zeros)
        #expect(!mixesShared && !mixesPrecomputed)
    }
}
