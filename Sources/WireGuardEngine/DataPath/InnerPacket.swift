/// The header of a packet that goes through the tunnel, read with every bound checked.
///
/// All of it comes from a stranger (the network namespace, or a peer): lengths are wide integers, nothing is
/// indexed before it was compared with the packet's end, nothing traps (D2, D3).
struct InnerPacket {
    static let minimumIPv4Bytes = 20
    static let minimumIPv6Bytes = 40

    let isIPv6: Bool
    /// Of the IP header alone: 20…60, or 40 (extension headers not counted).
    let headerBytes: Int
    /// What the header says: 20…65535, or 40…65575; never more than the bytes that are there.
    let totalBytes: Int

    /// Nil when it is no whole IP packet: too short, an unknown version, or a length beyond `byteCount`.
    @inline(__always)
    init?(_ bytes: UnsafeRawPointer, _ byteCount: Int) {
        guard byteCount >= InnerPacket.minimumIPv4Bytes else { return nil }
        let first = bytes.load(as: UInt8.self)
        switch first >> 4 {
        case 4:
            let header = Int(first & 15) &* 4
            let total = Int(bytes.bigEndian16(2))
            guard header >= InnerPacket.minimumIPv4Bytes, total >= header, total <= byteCount else { return nil }
            isIPv6 = false
            headerBytes = header
            totalBytes = total
        case 6:
            guard byteCount >= InnerPacket.minimumIPv6Bytes else { return nil }
            let total = Int(bytes.bigEndian16(4)) &+ InnerPacket.minimumIPv6Bytes
            guard total <= byteCount else { return nil }
            isIPv6 = true
            headerBytes = InnerPacket.minimumIPv6Bytes
            totalBytes = total
        default: return nil
        }
    }

    /// The TOS byte or traffic class: six bits of DSCP, two of ECN.
    @inline(__always)
    static func trafficClass(_ bytes: UnsafeRawPointer, isIPv6: Bool) -> UInt8 {
        isIPv6 ? UInt8(truncatingIfNeeded: bytes.bigEndian16(0) >> 4) : bytes.load(fromByteOffset: 1, as: UInt8.self)
    }

    /// The outer packet's traffic class: the inner ECN alone. Congestion that the inner packet has met already stays
    /// there, and the outer one starts as ECT(0): so the kernel's driver does it (INET_ECN_encapsulate, D5).
    @inline(__always)
    static func outerTrafficClass(_ bytes: UnsafeRawPointer, isIPv6: Bool) -> UInt8 {
        let congestion = trafficClass(bytes, isIPv6: isIPv6) & 3
        return congestion == 3 ? 2 : congestion
    }

    /// Passes on what the outer packet has met (RFC 6040; kernel INET_ECN_decapsulate, D5), and mends the IPv4 header
    /// checksum (RFC 1624): congestion marks a packet whose sender understands ECN, an outer ECT(1) makes an inner
    /// ECT(0) one, too. A packet that is not ECN-capable stays as it is; the driver ignores the verdict to drop it.
    static func decapsulateCongestion(of bytes: UnsafeMutableRawPointer, isIPv6: Bool, outer: UInt8) {
        let old = trafficClass(bytes, isIPv6: isIPv6)
        let congestion: UInt8
        switch (outer & 3, old & 3) {
        case (3, 1), (3, 2): congestion = 3
        case (1, 2): congestion = 1
        default: return
        }
        if isIPv6 {
            let second = bytes.load(fromByteOffset: 1, as: UInt8.self)
            bytes.storeBytes(of: second & 0xcf | congestion << 4, toByteOffset: 1, as: UInt8.self)
            return
        }
        let before = bytes.loadUnaligned(as: UInt16.self)
        bytes.storeBytes(of: old & 0xfc | congestion, toByteOffset: 1, as: UInt8.self)
        let after = bytes.loadUnaligned(as: UInt16.self)
        let checksum = bytes.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
        let sum = UInt64(~checksum) &+ UInt64(~before) &+ UInt64(after)
        bytes.storeBytes(of: ~InternetChecksum.fold(sum), toByteOffset: 10, as: UInt16.self)
    }
}

extension UnsafeRawPointer {
    @inline(__always)
    func bigEndian16(_ offset: Int) -> UInt16 {
        UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inline(__always)
    func bigEndian32(_ offset: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always)
    func byte(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
}

extension UnsafeMutableRawPointer {
    @inline(__always)
    func bigEndian16(_ offset: Int) -> UInt16 { UnsafeRawPointer(self).bigEndian16(offset) }

    @inline(__always)
    func bigEndian32(_ offset: Int) -> UInt32 { UnsafeRawPointer(self).bigEndian32(offset) }

    @inline(__always)
    func byte(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }

    @inline(__always)
    func storeBigEndian16(_ value: Int, _ offset: Int) {
        storeBytes(of: UInt16(truncatingIfNeeded: value).bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    @inline(__always)
    func storeBigEndian32(_ value: UInt32, _ offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }
}
