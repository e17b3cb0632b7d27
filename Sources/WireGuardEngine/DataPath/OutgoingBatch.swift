import Glibc
import LinuxSystem
import WireGuardCrypto

/// Packets on their way out, at wire stride in one stretch of memory: header, text, padding, tag, then the next.
///
/// The place where a packet was copied to from the TUN is where it is sealed and where sendmsg takes it from, so
/// each byte is copied once. A batch collects packets of any peers; `dispatch` makes runs of one peer of them
/// (one reservation of nonces, one call of the cipher) and trains of those (one sendmsg): one path, one outer
/// TOS, one size but for a shorter last (D16). What has no key is staged with the peer instead (S5).
/// Owned by tx; nothing is allocated after `init`.
struct OutgoingBatch: ~Copyable {
    static var packetCapacity: Int { 256 }
    static var arenaBytes: Int { 256 << 10 }
    private static var headerBytes: Int { Message.Data.headerByteCount }
    private static var overheadBytes: Int { Message.Data.overheadByteCount }

    private struct Packet {
        var offset: Int
        var wireBytes: Int
        /// Without padding; what is staged.
        var textBytes: Int
        var peer: PeerPointer
        var path: DatagramPath?
        var trafficClass: UInt8
    }

    private let arena: PageRegion
    private let packets: UnsafeMutablePointer<Packet>
    private let cipherPackets: UnsafeMutablePointer<CipherPacket>
    private var cipher: TrainCipher
    var sender: DatagramSender
    private var count = 0
    private var usedBytes = 0

    /// `arena` has `arenaBytes`.
    init(arena: consuming PageRegion, sender: consuming DatagramSender) {
        self.arena = arena
        packets = .allocate(capacity: Self.packetCapacity)
        cipherPackets = .allocate(capacity: Self.packetCapacity)
        cipher = TrainCipher()
        self.sender = sender
    }

    deinit {
        packets.deallocate()
        cipherPackets.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    /// Whether a text of this size would still fit.
    @inline(__always)
    func hasRoom(textBytes: Int) -> Bool {
        count < Self.packetCapacity
            && usedBytes &+ textBytes &+ ProtocolLimits.paddingMultiple &+ Self.overheadBytes <= Self.arenaBytes
    }

    /// Where the text of the next packet goes; `append` makes it one.
    @inline(__always)
    var nextText: UnsafeMutableRawPointer { arena.base + usedBytes + Self.headerBytes }

    /// Counts the text that was written to `nextText` as a packet, padded for `mtu` (D1).
    @inline(__always)
    mutating func append(textBytes: Int, mtu: Int, peer: PeerPointer, path: DatagramPath?, trafficClass: UInt8) {
        let padding = Padding.bytes(after: textBytes, mtu: mtu)
        if padding > 0 { memset(nextText + textBytes, 0, padding) }
        let wireBytes = textBytes &+ padding &+ Self.overheadBytes
        (packets + count).initialize(
            to: Packet(
                offset: usedBytes, wireBytes: wireBytes, textBytes: textBytes, peer: peer, path: path,
                trafficClass: trafficClass))
        count &+= 1
        usedBytes &+= wireBytes
    }

    /// Seals and sends everything, or stages it. Empty afterwards.
    mutating func dispatch(_ transmitter: inout Transmitter, now: BootTime) {
        var first = 0
        while first < count {
            let peer = packets[first].peer
            var end = first &+ 1
            while end < count, packets[end].peer == peer { end &+= 1 }
            if let reservation = transmitter.reserve(peer, count: end &- first, now: now) {
                seal(first..<end, reservation.keypair, firstCounter: reservation.firstCounter)
                send(first..<end, peer, &transmitter, now: now)
            } else {
                for index in first..<end {
                    let text = UnsafeRawPointer(arena.base + packets[index].offset + Self.headerBytes)
                    transmitter.stage(peer, UnsafeRawBufferPointer(start: text, count: packets[index].textBytes))
                }
            }
            first = end
        }
        count = 0
        usedBytes = 0
    }

    /// Sends what is staged with a peer, oldest first; leaves it where it is when there is no key.
    /// The batch must be empty.
    mutating func dispatchStaged(_ peer: PeerPointer, _ transmitter: inout Transmitter, mtu: Int, now: BootTime) {
        let total = peer.pointee.staged.count
        guard total > 0, let reservation = transmitter.reserve(peer, count: total, now: now) else { return }
        let path = peer.pointee.path
        var counter = reservation.firstCounter
        while let staged = transmitter.firstStaged(peer) {
            if !hasRoom(textBytes: staged.count) { flushStaged(peer, reservation, &counter, &transmitter, now: now) }
            if hasRoom(textBytes: staged.count) {
                var trafficClass: UInt8 = 0
                if staged.count > 0, let bytes = staged.baseAddress {
                    memcpy(nextText, bytes, staged.count)
                    trafficClass = InnerPacket.outerTrafficClass(bytes, isIPv6: bytes.byte(0) >> 4 == 6)
                }
                append(textBytes: staged.count, mtu: mtu, peer: peer, path: path, trafficClass: trafficClass)
            }
            transmitter.unstageFirst(peer)
        }
        flushStaged(peer, reservation, &counter, &transmitter, now: now)
    }

    private mutating func flushStaged(
        _ peer: PeerPointer, _ reservation: Transmitter.Reservation, _ counter: inout UInt64,
        _ transmitter: inout Transmitter, now: BootTime
    ) {
        seal(0..<count, reservation.keypair, firstCounter: counter)
        send(0..<count, peer, &transmitter, now: now)
        counter &+= UInt64(truncatingIfNeeded: count)
        count = 0
        usedBytes = 0
    }

    private mutating func seal(_ run: Range<Int>, _ keypair: KeypairPointer, firstCounter: UInt64) {
        var counter = firstCounter
        for index in run {
            let message = arena.base + packets[index].offset
            Message.writeDataHeader(message, receiver: keypair.pointee.remoteIndex, counter: counter)
            let text = (message + Self.headerBytes).assumingMemoryBound(to: UInt8.self)
            (cipherPackets + (index &- run.lowerBound)).initialize(
                to: CipherPacket(
                    text: text, length: UInt32(truncatingIfNeeded: packets[index].wireBytes &- Self.overheadBytes),
                    counter: counter))
            counter &+= 1
        }
        cipher.seal(cipherPackets, count: run.count, key: UnsafeRawPointer(keypair.pointee.sendKey.pointer))
    }

    /// One run as trains.
    private mutating func send(_ run: Range<Int>, _ peer: PeerPointer, _ transmitter: inout Transmitter, now: BootTime)
    {
        var sentBytes = 0
        var hasData = false
        var first = run.lowerBound
        while first < run.upperBound {
            let size = packets[first].wireBytes
            var end = first &+ 1
            var bytes = size
            if let path = packets[first].path {
                let limit = DatagramSender.trainBytes(isIPv6: path.isIPv6)
                while end < run.upperBound, bytes &+ packets[end].wireBytes <= limit, packets[end].wireBytes <= size,
                    packets[end].trafficClass == packets[first].trafficClass, packets[end].path == path
                {
                    bytes &+= packets[end].wireBytes
                    end &+= 1
                    // A shorter packet is the last one of its train.
                    if packets[end &- 1].wireBytes < size { break }
                }
                let outcome = sender.send(
                    arena.base + packets[first].offset, bytes, segmentBytes: size, to: path,
                    trafficClass: packets[first].trafficClass)
                sentBytes &+= outcome.sentBytes
                if outcome.sourceIsGone { peer.pointee.clearSource() }
                // What UDP refused asks for no answer, and starts no timer (R1).
                hasData = hasData || size > Self.overheadBytes && outcome.sentBytes > 0
            }
            first = end
        }
        if !run.isEmpty { transmitter.sent(peer, wireBytes: sentBytes, hasData: hasData, now: now) }
    }
}
