import CLinux
import Glibc

/// Where joined packets go: the TUN, or a test's list.
protocol PacketSink: ~Copyable {
    /// Bytes of the virtio header before each packet, 0 for none. Never more than 16.
    var virtioBytes: Int { get }
    /// One packet in `count` pieces; the first begins with the virtio header.
    mutating func write(_ pieces: UnsafeMutablePointer<iovec>, _ count: Int)
}

/// Joins received packets of one TCP or UDP flow into large ones, so that the kernel's stack is walked once
/// for dozens of packets (D18).
///
/// Nothing is copied: a joined packet is the first packet as it lies in the receive buffer, headers amended,
/// followed by pieces that are the payloads of the next ones. `flush` must therefore be called before the
/// buffer is filled again. Only packets that `SegmentSplitter` would restore are joined: same addresses,
/// ports, TTL, TOS, flow label, DF, TCP options and window, consecutive sequence numbers, no IP option,
/// extension header or fragment, no flag but ACK, PSH and ECE, UDP with a checksum. Everything else is written
/// as it is, after what was collected of the same flow: order within a flow stays.
/// The checksum of a joined packet is left to the kernel (NEEDS_CSUM), which trusts us as we trust the tag
/// of the packet (D13). Runs on the rx thread only; allocates nothing after `init`.
struct SegmentCoalescer<Sink: PacketSink & ~Copyable>: ~Copyable {
    static var flowCapacity: Int { 8 }
    /// The kernel's UDP_MAX_SEGMENTS before 6.9; no train of ours is longer in TCP either.
    static var segmentLimit: Int { 64 }

    var sink: Sink
    private let joinsTCP: Bool
    private let joinsUDP: Bool
    private let flows: UnsafeMutablePointer<OpenFlow>
    private let pieces: UnsafeMutablePointer<iovec>
    private var flowCount = 0

    /// - Parameter joinsUDP: whether this kernel takes VIRTIO_NET_HDR_GSO_UDP_L4 (6.2 and later).
    init(sink: consuming Sink, joinsTCP: Bool, joinsUDP: Bool) {
        let hasHeader = sink.virtioBytes > 0
        self.sink = sink
        self.joinsTCP = joinsTCP && hasHeader
        self.joinsUDP = joinsUDP && hasHeader
        flows = .allocate(capacity: Self.flowCapacity)
        // One spare flow's worth for packets that are written alone.
        let pieceCount = (Self.flowCapacity + 1) * (Self.segmentLimit + 1)
        pieces = .allocate(capacity: pieceCount)
        pieces.initialize(repeating: iovec(), count: pieceCount)
        for slot in 0..<Self.flowCapacity {
            flows[slot] = OpenFlow(pieceSlot: slot, placeholder: UnsafeMutableRawPointer(pieces))
        }
    }

    deinit {
        flows.deallocate()
        pieces.deallocate()
    }

    /// Takes one packet whose IP header was checked (`InnerPacket`).
    ///
    /// - Parameters:
    ///   - packet: behind at least 16 writable bytes; it stays untouched by the caller until `flush`.
    ///   - byteCount: the IP packet's own length, padding removed.
    mutating func add(_ packet: UnsafeMutableRawPointer, _ byteCount: Int, isIPv6: Bool) {
        guard let candidate = FlowSegment(packet, byteCount, isIPv6: isIPv6), candidate.isTCP ? joinsTCP : joinsUDP
        else {
            // A fragment or an unknown protocol may belong to any of the flows.
            flush()
            writeAlone(packet, byteCount)
            return
        }
        var index = 0
        while index < flowCount {
            if flows[index].isSameFlow(candidate) { break }
            index &+= 1
        }
        if index < flowCount {
            if candidate.isJoinable, flows[index].accepts(candidate) {
                let isComplete = flows[index].append(candidate, to: piecesOfFlow(index), limit: Self.segmentLimit)
                if isComplete { emit(index) }
                return
            }
            emit(index)
        }
        guard candidate.isJoinable, !candidate.isLast else {
            writeAlone(packet, byteCount)
            return
        }
        if flowCount == Self.flowCapacity { emit(0) }
        flows[flowCount].start(candidate)
        let first = piecesOfFlow(flowCount)
        first[0] = iovec(iov_base: packet - sink.virtioBytes, iov_len: byteCount &+ sink.virtioBytes)
        flowCount &+= 1
    }

    /// Writes everything that was collected.
    mutating func flush() {
        while flowCount > 0 { emit(0) }
    }

    private func piecesOfFlow(_ index: Int) -> UnsafeMutablePointer<iovec> {
        pieces + flows[index].pieceSlot &* (Self.segmentLimit &+ 1)
    }

    private mutating func writeAlone(_ packet: UnsafeMutableRawPointer, _ byteCount: Int) {
        let size = sink.virtioBytes
        if size > 0 { VirtioHeader().write(to: packet - size, size: size) }
        let piece = pieces + Self.flowCapacity &* (Self.segmentLimit &+ 1)
        piece[0] = iovec(iov_base: packet - size, iov_len: byteCount &+ size)
        sink.write(piece, 1)
    }

    /// Writes one flow and closes the gap; the freed place keeps its pieces for the next flow.
    private mutating func emit(_ index: Int) {
        let size = sink.virtioBytes
        flows[index].finish().write(to: flows[index].packet - size, size: size)
        sink.write(piecesOfFlow(index), flows[index].segmentCount)
        flowCount &-= 1
        let freed = flows[index]
        var next = index
        while next < flowCount {
            flows[next] = flows[next &+ 1]
            next &+= 1
        }
        flows[flowCount] = freed
    }
}
