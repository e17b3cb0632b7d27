import LinuxSystem
import Synchronization

/// The peers by when control has to look at them next: a binary heap whose places the peers know. Control only.
struct TimerHeap {
    private var peers: [PeerPointer] = []

    /// Nil when no peer has anything pending.
    var earliest: BootTime? { peers.first.map { BootTime(nanoseconds: TimerHeap.time($0)) } }

    /// Looks at the peer's deadlines and puts it in its place. Repeats until no thread has armed an earlier one in
    /// between: from then on it is their turn to tell (see `PeerTimers`).
    mutating func update(_ peer: PeerPointer) {
        var time = peer.pointee.timers.earliest
        while true {
            peer.pointee.timers.nextLook.store(time, ordering: .sequentiallyConsistent)
            Interleaving.point(.publish)
            let again = peer.pointee.timers.earliest
            if again >= time { break }
            time = again
        }
        if time == .max {
            remove(peer)
        } else if peer.pointee.heapIndex < 0 {
            peers.append(peer)
            peer.pointee.heapIndex = peers.count - 1
            rise(peers.count - 1)
        } else {
            rise(peer.pointee.heapIndex)
            sink(peer.pointee.heapIndex)
        }
    }

    mutating func remove(_ peer: PeerPointer) {
        let index = peer.pointee.heapIndex
        guard index >= 0, let last = peers.popLast() else { return }
        peer.pointee.heapIndex = -1
        guard last != peer else { return }
        peers[index] = last
        last.pointee.heapIndex = index
        rise(index)
        sink(last.pointee.heapIndex)
    }

    /// A peer whose time has come; the caller updates it.
    func due(at now: BootTime) -> PeerPointer? {
        guard let peer = peers.first, TimerHeap.time(peer) <= now.nanoseconds else { return nil }
        return peer
    }

    private static func time(_ peer: PeerPointer) -> UInt64 { peer.pointee.timers.nextLook.load(ordering: .relaxed) }

    private mutating func rise(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            if TimerHeap.time(peers[parent]) <= TimerHeap.time(peers[index]) { return }
            exchange(index, parent)
            index = parent
        }
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < peers.count {
                if TimerHeap.time(peers[child]) < TimerHeap.time(peers[least]) { least = child }
            }
            if least == index { return }
            exchange(index, least)
            index = least
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        peers.swapAt(left, right)
        peers[left].pointee.heapIndex = left
        peers[right].pointee.heapIndex = right
    }
}
