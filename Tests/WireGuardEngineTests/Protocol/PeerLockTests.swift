import Glibc
import Synchronization
import Testing

@testable import WireGuardEngine

@Suite struct PeerLockTests {
    #if SWG_SIMULATION
        /// The first writer stands still in the middle of its change; the second has to wait for it.
        @Test func `D9: two threads that move a peer's path do it one after the other`() {
            let pair = VirtualPair()
            let peer = pair.a.peer(pair.b.publicKey)
            let record = peer.pointee.row
            var other = OtherThread(peer, DatagramPath(VirtualPair.addressA))
            withUnsafeMutablePointer(to: &other) { other in
                var points = 0
                var thread = pthread_t()
                let scheduler = AtEachPoint {
                    points += 1
                    // Behind the lock, the path half written.
                    guard points == 2 else { return }
                    let raw = UnsafeMutableRawPointer(other)
                    pthread_create(
                        &thread, nil,
                        { raw in
                            raw?.assumingMemoryBound(to: OtherThread.self).pointee.run()
                            return nil
                        }, raw)
                    while !other.pointee.hasBegun.load(ordering: .acquiring) { usleep(1000) }
                    usleep(20_000)
                    let isDone = other.pointee.isDone.load(ordering: .acquiring)
                    #expect(!isDone)
                }
                Interleaving.withScheduler(scheduler) { peer.pointee.setPath(DatagramPath(VirtualPair.addressB)) }
                #expect(points >= 2)
                pthread_join(thread, nil)
            }
            guard case .path(let path) = record.pointee.path.load() else {
                Issue.record("no path")
                return
            }
            #expect(path.endpoint == VirtualPair.addressA)
        }

        private struct OtherThread: ~Copyable {
            let peer: PeerPointer
            let path: DatagramPath
            let hasBegun = Atomic<Bool>(false)
            let isDone = Atomic<Bool>(false)

            init(_ peer: PeerPointer, _ path: DatagramPath) {
                self.peer = peer
                self.path = path
            }

            func run() {
                hasBegun.store(true, ordering: .releasing)
                peer.pointee.setPath(path)
                isDone.store(true, ordering: .releasing)
            }
        }
    #endif
}
