import Testing

@testable import WireGuardEngine

@Suite struct SessionTests {
    @Test func `S3: a packet starts a handshake, and the initiator's staged packet confirms the session`() {
        let pair = VirtualPair()
        pair.send(from: pair.a)
        pair.settle()
        #expect(pair.history.map(\.datagram.kind) == [.initiation, .response, .data])
        #expect(pair.b.delivered == [Packet.ipv4(from: "10.0.0.1", to: "10.0.0.2")])
    }
}
