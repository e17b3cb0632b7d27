import CLinux
import Glibc

/// A joined packet in the making: the first packet's headers, and the count of what follows.
struct OpenFlow {
    /// Which run of pieces is its own.
    let pieceSlot: Int
    /// Where the first packet lies; meaningless until `start`.
    private(set) var packet: UnsafeMutableRawPointer
    private(set) var segmentCount = 0
    private var isIPv6 = false
    private var isTCP = false
    private var transportStart = 0
    private var payloadStart = 0
    private var segmentBytes = 0
    private var payloadBytes = 0
    private var nextSequence: UInt32 = 0
    private var endsWithPush = false

    /// A place without a flow.
    init(pieceSlot: Int, placeholder: UnsafeMutableRawPointer) {
        self.pieceSlot = pieceSlot
        packet = placeholder
    }

    mutating func start(_ segment: FlowSegment) {
        packet = segment.packet
        segmentCount = 1
        isIPv6 = segment.isIPv6
        isTCP = segment.isTCP
        transportStart = segment.transportStart
        payloadStart = segment.payloadStart
        segmentBytes = segment.payloadBytes
        payloadBytes = segment.payloadBytes
        nextSequence = segment.sequence &+ UInt32(truncatingIfNeeded: segment.payloadBytes)
        endsWithPush = false
    }

    /// Same addresses, ports and protocol.
    func isSameFlow(_ segment: FlowSegment) -> Bool {
        guard segment.isIPv6 == isIPv6, segment.isTCP == isTCP,
            packet.loadUnaligned(fromByteOffset: transportStart, as: UInt32.self)
                == segment.packet.loadUnaligned(fromByteOffset: transportStart, as: UInt32.self)
        else { return false }
        return isIPv6
            ? memcmp(packet + 8, segment.packet + 8, 32) == 0
            : packet.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
                == segment.packet.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
    }

    /// Whether `segment`, joinable and of this flow, continues it so that cutting would restore it.
    func accepts(_ segment: FlowSegment) -> Bool {
        guard segment.payloadStart == payloadStart, segment.payloadBytes <= segmentBytes,
            payloadStart &+ payloadBytes &+ segment.payloadBytes <= 65535, sameNetworkHeader(segment.packet)
        else { return false }
        guard isTCP else { return true }
        let start = transportStart
        // Acknowledgement number, data offset, flags (PSH may come), window, urgent pointer, options.
        let difference =
            packet.loadUnaligned(fromByteOffset: start &+ 8, as: UInt64.self)
            ^ segment.packet.loadUnaligned(fromByteOffset: start &+ 8, as: UInt64.self)
        let push = UInt64(bigEndian: 0x0000_0000_0008_0000)
        guard segment.sequence == nextSequence, difference & ~push == 0,
            packet.bigEndian16(start &+ 18) == segment.packet.bigEndian16(start &+ 18)
        else { return false }
        let optionBytes = payloadStart &- start &- 20
        return optionBytes == 0 || memcmp(packet + start + 20, segment.packet + start + 20, optionBytes) == 0
    }

    /// TOS, TTL, DF, flow label. Without DF the IPv4 identification must count up, as cutting will.
    private func sameNetworkHeader(_ other: UnsafeMutableRawPointer) -> Bool {
        if isIPv6 { return packet.bigEndian32(0) == other.bigEndian32(0) && packet.byte(7) == other.byte(7) }
        guard packet.byte(1) == other.byte(1), packet.byte(8) == other.byte(8), packet.byte(6) == other.byte(6) else {
            return false
        }
        if packet.byte(6) & 0x40 != 0 { return true }
        return other.bigEndian16(4) == packet.bigEndian16(4) &+ UInt16(truncatingIfNeeded: segmentCount)
    }

    /// Adds what `accepts` has accepted; true when nothing may follow.
    mutating func append(_ segment: FlowSegment, to pieces: UnsafeMutablePointer<iovec>, limit: Int) -> Bool {
        pieces[segmentCount] = iovec(iov_base: segment.packet + segment.payloadStart, iov_len: segment.payloadBytes)
        segmentCount &+= 1
        payloadBytes &+= segment.payloadBytes
        nextSequence = nextSequence &+ UInt32(truncatingIfNeeded: segment.payloadBytes)
        endsWithPush = segment.isLast
        return segment.isLast || segment.payloadBytes < segmentBytes || segmentCount == limit
    }

    /// Amends the headers for the whole; what the kernel needs to know of it. A single packet stays as it came.
    func finish() -> VirtioHeader {
        var header = VirtioHeader()
        guard segmentCount > 1 else { return header }
        let total = payloadStart &+ payloadBytes
        let transportBytes = total &- transportStart
        if isIPv6 {
            packet.storeBigEndian16(total &- InnerPacket.minimumIPv6Bytes, 4)
        } else {
            packet.storeBigEndian16(total, 2)
            InternetChecksum.fillIPv4Header(packet, InnerPacket.minimumIPv4Bytes)
        }
        if isTCP {
            if endsWithPush {
                let flags = packet.byte(transportStart &+ 13)
                packet.storeBytes(of: flags | 0x08, toByteOffset: transportStart &+ 13, as: UInt8.self)
            }
        } else {
            packet.storeBigEndian16(transportBytes, transportStart &+ 4)
        }
        header.needsChecksum = true
        header.segmentation = isTCP ? (isIPv6 ? .tcp6 : .tcp4) : .udp
        header.segmentBytes = UInt16(truncatingIfNeeded: segmentBytes)
        header.headerBytes = UInt16(truncatingIfNeeded: payloadStart)
        header.checksumStart = UInt16(truncatingIfNeeded: transportStart)
        header.checksumOffset = isTCP ? 16 : 6
        let pseudo = InternetChecksum.pseudoHeader(
            packet, isIPv6: isIPv6, transportProtocol: UInt8(isTCP ? IPPROTO_TCP : IPPROTO_UDP),
            transportBytes: transportBytes)
        packet.storeBytes(
            of: InternetChecksum.fold(pseudo), toByteOffset: transportStart &+ Int(header.checksumOffset),
            as: UInt16.self)
        return header
    }
}
