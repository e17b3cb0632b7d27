import CLinux
import Glibc

/// Cuts what the kernel hands over as one large TCP or UDP packet (TSO, USO) into packets of wire size, each
/// with headers and checksums of its own, exactly as the kernel would have cut it (D17).
///
/// The tx loop reads one super-packet, makes a splitter over it and calls `next` until it returns nil; each
/// call copies one packet to where it will be encrypted. Everything in the super-packet counts as hostile:
/// whoever may open a raw socket in the namespace writes it. `init?` checks all bounds once; after that
/// nothing can fail. A checksum left to us is completed from the pseudo-header sum that the kernel put into
/// the field, so that extension and routing headers need no understanding here.
struct SegmentSplitter {
    private let packet: UnsafeMutableRawPointer
    private let header: VirtioHeader
    private let isIPv6: Bool
    private let isTCP: Bool
    /// Up to the transport header, and up to the payload.
    private let transportStart: Int
    private let payloadStart: Int
    private let byteCount: Int
    private let segmentBytes: Int
    private var offset: Int
    private var index = 0
    private var isDone = false

    /// - Parameters:
    ///   - packet: `byteCount` bytes of one packet behind its virtio header; a checksum may be written in it.
    ///   - maximumBytes: the size of the buffers that `next` will be given.
    /// - Returns: nil when the packet contradicts itself, or a piece would not fit; it is dropped.
    init?(_ packet: UnsafeMutableRawPointer, _ byteCount: Int, _ header: VirtioHeader, maximumBytes: Int) {
        guard let inner = InnerPacket(packet, byteCount) else { return nil }
        self.packet = packet
        self.header = header
        isIPv6 = inner.isIPv6
        let start = Int(header.checksumStart)
        transportStart = start
        if header.segmentation == .none {
            guard inner.totalBytes <= maximumBytes else { return nil }
            if header.needsChecksum {
                let field = start &+ Int(header.checksumOffset)
                guard start >= inner.headerBytes, field &+ 2 <= inner.totalBytes else { return nil }
            }
            isTCP = false
            payloadStart = 0
            offset = 0
            segmentBytes = inner.totalBytes
            self.byteCount = inner.totalBytes
            return
        }
        let wantsIPv6: Bool
        switch header.segmentation {
        case .tcp4: (isTCP, wantsIPv6) = (true, false)
        case .tcp6: (isTCP, wantsIPv6) = (true, true)
        case .udp, .none: (isTCP, wantsIPv6) = (false, inner.isIPv6)
        }
        // The IP length of a super-packet may be zero ("big TCP"): none of ours is longer than 64 KiB.
        let end = inner.totalBytes
        guard wantsIPv6 == inner.isIPv6, header.needsChecksum, header.segmentBytes > 0, start >= inner.headerBytes,
            Int(header.checksumOffset) == (isTCP ? 16 : 6)
        else { return nil }
        if isTCP {
            guard start &+ 20 <= end else { return nil }
            let transportBytes = Int(packet.byte(start &+ 12) >> 4) &* 4
            guard transportBytes >= 20 else { return nil }
            payloadStart = start &+ transportBytes
        } else {
            payloadStart = start &+ 8
        }
        segmentBytes = Int(header.segmentBytes)
        guard payloadStart <= end, payloadStart &+ min(segmentBytes, end &- payloadStart) <= maximumBytes else {
            return nil
        }
        self.byteCount = end
        offset = payloadStart
    }

    /// Bytes of the packet that `next` will write, 0 when there is none.
    var nextByteCount: Int {
        if isDone { return 0 }
        if header.segmentation == .none { return byteCount }
        return payloadStart &+ min(segmentBytes, byteCount &- offset)
    }

    /// Writes the next packet to `output`, which has room for `nextByteCount` bytes; nil at the end.
    mutating func next(into output: UnsafeMutableRawPointer) -> Int? {
        if isDone { return nil }
        if header.segmentation == .none {
            isDone = true
            memcpy(output, packet, byteCount)
            if header.needsChecksum {
                completeChecksum(output, byteCount, at: transportStart &+ Int(header.checksumOffset))
            }
            return byteCount
        }
        let chunk = min(segmentBytes, byteCount &- offset)
        let total = payloadStart &+ chunk
        let isLast = offset &+ chunk >= byteCount
        memcpy(output, packet, payloadStart)
        memcpy(output + payloadStart, packet + offset, chunk)
        if isIPv6 {
            output.storeBigEndian16(total &- InnerPacket.minimumIPv6Bytes, 4)
        } else {
            output.storeBigEndian16(total, 2)
            output.storeBigEndian16(Int(packet.bigEndian16(4)) &+ index, 4)
            InternetChecksum.fillIPv4Header(output, Int(packet.byte(0) & 15) &* 4)
        }
        if isTCP {
            fixTCP(output, isLast: isLast)
        } else {
            output.storeBigEndian16(total &- transportStart, transportStart &+ 4)
        }
        // The field holds the pseudo header's sum with the length of the whole: exchange that length.
        let field = transportStart &+ (isTCP ? 16 : 6)
        let pseudo = UInt64(packet.loadUnaligned(fromByteOffset: field, as: UInt16.self))
        let sum =
            pseudo &+ InternetChecksum.minus(byteCount &- transportStart)
            &+ InternetChecksum.term(total &- transportStart)
        output.storeBytes(of: InternetChecksum.fold(sum), toByteOffset: field, as: UInt16.self)
        completeChecksum(output, total, at: field)
        offset = offset &+ chunk
        index = index &+ 1
        isDone = isLast
        return total
    }

    /// Sequence number, and the flags that belong to one end: FIN and PSH to the last, CWR to the first.
    private func fixTCP(_ output: UnsafeMutableRawPointer, isLast: Bool) {
        let done = UInt32(truncatingIfNeeded: offset &- payloadStart)
        output.storeBigEndian32(packet.bigEndian32(transportStart &+ 4) &+ done, transportStart &+ 4)
        var flags = output.byte(transportStart &+ 13)
        if !isLast { flags &= ~0x09 }
        if index > 0 { flags &= ~0x80 }
        output.storeBytes(of: flags, toByteOffset: transportStart &+ 13, as: UInt8.self)
    }

    /// Sums from the transport header on, the pseudo-header sum in the field included. UDP's zero would mean
    /// "no checksum" and becomes 0xffff (RFC 768).
    private func completeChecksum(_ output: UnsafeMutableRawPointer, _ total: Int, at field: Int) {
        var checksum = ~InternetChecksum.fold(InternetChecksum.add(output + transportStart, total &- transportStart))
        if checksum == 0, header.checksumOffset == 6 { checksum = 0xffff }
        output.storeBytes(of: checksum, toByteOffset: field, as: UInt16.self)
    }
}
