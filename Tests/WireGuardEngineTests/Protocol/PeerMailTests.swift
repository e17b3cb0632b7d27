import Testing

@testable import WireGuardEngine

@Suite struct PeerMailTests {
    @Test func `D12: an order to drop that is carried out early leaves the mail in its inbox, once and not idle`() {
        let pair = VirtualPair()
        pair.settle()
        let mail = pair.a.peer(pair.b.publicKey).pointee.transmitMail
        let inbox = PeerInbox()
        let had = [
            mail.pointee.takePurge(), inbox.post(.purge, mail), mail.pointee.takePurge(), mail.pointee.takePurge(),
        ]
        #expect(had == [false, true, true, false])
        // Whoever finds it idle now frees the peer, and whoever posts links it a second time.
        let isIdle = mail.pointee.isIdle
        let isLinkedAgain = inbox.post(.flush, mail)
        #expect(!isIdle && !isLinkedAgain)
        let work = Self.work(in: inbox)
        #expect(work.count == 1 && work[0].contains(.flush) && !work[0].contains(.purge))
        // The next order is one of its own.
        let isLinked = inbox.post(.purge, mail)
        #expect(isLinked && Self.work(in: inbox) == [.purge])
        let isIdleAfterwards = mail.pointee.isIdle
        #expect(isIdleAfterwards)
    }

    private static func work(in inbox: borrowing PeerInbox) -> [PeerMail.Work] {
        var list = inbox.takeAll()
        var work: [PeerMail.Work] = []
        while let next = list.next() { work.append(next.work) }
        return work
    }
}
