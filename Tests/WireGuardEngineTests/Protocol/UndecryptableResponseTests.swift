import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct UndecryptableResponseTests {
    @Test func `N9: another preshared key is told as an undecryptable response, and the handshake goes on waiting`() {
        let pair = VirtualPair()
        setPresharedKey(.set(.generate()), pair)
        var events: [DeviceEvent] = []
        pair.a.observe = { if case .handshake(_, let event) = $0 { events.append(event) } }
        pair.connect()
        #expect(
            events == [.sendsInitiation(attempt: 1), .receivedUndecryptableResponse(from: VirtualPair.addressB)])
        #expect(pair.a.peer(pair.b.publicKey).isHandshakePending)
        #expect(pair.b.delivered.isEmpty)
        setPresharedKey(.remove, pair)
        pair.run(seconds: 6)
        #expect(pair.b.delivered.count == 1)
    }

    @Test func `N9: a response to no handshake of ours is no event`() {
        let pair = VirtualPair()
        pair.connect()
        var events: [DeviceEvent] = []
        pair.a.observe = { if case .handshake(_, let event) = $0 { events.append(event) } }
        let response = pair.sent(.response, from: pair.b)[0].datagram
        pair.a.runReceive([response], at: pair.now.boot)
        pair.a.runControl(at: pair.now)
        #expect(events.isEmpty)
    }

    private func setPresharedKey(_ key: KeyChange<PresharedKey>, _ pair: VirtualPair) {
        var peer = PeerChange(publicKey: pair.a.publicKey)
        peer.presharedKey = key
        var change = DeviceChange()
        change.peers = [peer]
        pair.b.apply(change, at: pair.now)
    }
}
