import CLinux
import Glibc
import LinuxSystem

/// ICMP answers to packets that cannot be sent, written back into the TUN so that applications fail at once
/// instead of waiting (D4, D19; RFC 792, RFC 4443).
///
/// Rate limited; never in answer to an ICMP error, to a multicast or broadcast packet, or to any fragment but the
/// first. The answer comes from the address that could not be reached: that is one the namespace routes into the
/// tunnel, so reverse-path filters let it pass. Used by tx only.
struct UnreachableMessages: ~Copyable {
    enum Reason {
        /// Host unreachable (3/1), address unreachable (1/3).
        case address
        /// Fragmentation needed (3/4), packet too big (2/0).
        case tooBig(mtu: Int)
    }

    /// As many at once, and as many per second, as the kernel's icmp_msgs_burst is generous.
    private static var burst: UInt64 { 50 }
    private static var tokenNanoseconds: UInt64 { 1_000_000 }
    /// RFC 1812 asks for as much of the packet as fits into 576 bytes, RFC 4443 into 1280.
    private static var quotedIPv4Bytes: Int { 576 - 28 }
    private static var quotedIPv6Bytes: Int { 1280 - 48 }
    private static var bufferBytes: Int { 1536 }
    private static var headroom: Int { 16 }

    private let tun: Int32
    private let virtioBytes: Int
    private let buffer: UnsafeMutableRawPointer
    private var tokens = UnreachableMessages.burst
    private var lastRefill = BootTime(nanoseconds: 0)

    init(tun: Int32, virtioBytes: Int) {
        self.tun = tun
        self.virtioBytes = virtioBytes
        buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// `packet` was checked by `InnerPacket`.
    mutating func answer(_ packet: UnsafeRawPointer, _ inner: InnerPacket, _ reason: Reason, now: BootTime) {
        guard Self.mayBeAnswered(packet, inner), takeToken(now) else { return }
        memset(buffer, 0, Self.bufferBytes)
        let start = buffer + Self.headroom
        let byteCount = Self.write(start, packet, inner, reason)
        let first = start - virtioBytes
        if virtioBytes > 0 { VirtioHeader().write(to: first, size: virtioBytes) }
        _ = Glibc.write(tun, first, virtioBytes &+ byteCount)
    }

    private mutating func takeToken(_ now: BootTime) -> Bool {
        let refill = now.since(lastRefill) / Self.tokenNanoseconds
        if refill > 0 {
            tokens = min(Self.burst, tokens &+ min(refill, Self.burst))
            lastRefill = now
        }
        guard tokens > 0 else { return false }
        tokens &-= 1
        return true
    }

    static func mayBeAnswered(_ packet: UnsafeRawPointer, _ inner: InnerPacket) -> Bool {
        if inner.isIPv6 {
            // Unspecified or multicast source, multicast destination.
            let source = (packet.bigEndian64(8), packet.bigEndian64(16))
            if packet.byte(24) == 0xff || packet.byte(8) == 0xff || source == (0, 0) { return false }
            // Errors have types below 128. Behind extension headers nobody looks.
            if packet.byte(6) == UInt8(IPPROTO_ICMPV6) {
                return inner.totalBytes > 40 && packet.byte(40) >= 128
            }
            return packet.byte(6) != UInt8(IPPROTO_FRAGMENT)
                || inner.totalBytes >= 48 && packet.bigEndian16(42) & 0xfff8 == 0
        }
        let source = packet.bigEndian32(12)
        let destination = packet.bigEndian32(16)
        if destination >> 28 >= 0xe || source >> 28 >= 0xe || source == 0 { return false }
        if packet.bigEndian16(6) & 0x1fff != 0 { return false }
        if packet.byte(9) == UInt8(IPPROTO_ICMP) {
            guard inner.totalBytes > inner.headerBytes else { return false }
            switch packet.byte(inner.headerBytes) {
            // Echo, timestamp, and the like are questions; everything else reports an error.
            case 0, 8, 13, 14, 15, 16, 17, 18: return true
            default: return false
            }
        }
        return true
    }

    /// Writes the whole answer into zeroed memory; its size.
    static func write(
        _ output: UnsafeMutableRawPointer, _ packet: UnsafeRawPointer, _ inner: InnerPacket, _ reason: Reason
    ) -> Int {
        if inner.isIPv6 {
            let quoted = min(inner.totalBytes, quotedIPv6Bytes)
            let total = 48 &+ quoted
            output.storeBytes(of: 0x60, as: UInt8.self)
            output.storeBigEndian16(total &- 40, 4)
            output.storeBytes(of: UInt8(IPPROTO_ICMPV6), toByteOffset: 6, as: UInt8.self)
            output.storeBytes(of: 64, toByteOffset: 7, as: UInt8.self)
            memcpy(output + 8, packet + 24, 16)
            memcpy(output + 24, packet + 8, 16)
            switch reason {
            case .address:
                output.storeBytes(of: 1, toByteOffset: 40, as: UInt8.self)
                output.storeBytes(of: 3, toByteOffset: 41, as: UInt8.self)
            case .tooBig(let mtu):
                output.storeBytes(of: 2, toByteOffset: 40, as: UInt8.self)
                output.storeBigEndian32(UInt32(truncatingIfNeeded: mtu), 44)
            }
            memcpy(output + 48, packet, quoted)
            let pseudo = InternetChecksum.pseudoHeader(
                output, isIPv6: true, transportProtocol: UInt8(IPPROTO_ICMPV6), transportBytes: total &- 40)
            let sum = InternetChecksum.add(output + 40, total &- 40, to: pseudo)
            output.storeBytes(of: ~InternetChecksum.fold(sum), toByteOffset: 42, as: UInt16.self)
            return total
        }
        let quoted = min(inner.totalBytes, quotedIPv4Bytes)
        let total = 28 &+ quoted
        output.storeBytes(of: 0x45, as: UInt8.self)
        output.storeBigEndian16(total, 2)
        output.storeBytes(of: 64, toByteOffset: 8, as: UInt8.self)
        output.storeBytes(of: UInt8(IPPROTO_ICMP), toByteOffset: 9, as: UInt8.self)
        memcpy(output + 12, packet + 16, 4)
        memcpy(output + 16, packet + 12, 4)
        InternetChecksum.fillIPv4Header(output, InnerPacket.minimumIPv4Bytes)
        output.storeBytes(of: 3, toByteOffset: 20, as: UInt8.self)
        switch reason {
        case .address: output.storeBytes(of: 1, toByteOffset: 21, as: UInt8.self)
        case .tooBig(let mtu):
            output.storeBytes(of: 4, toByteOffset: 21, as: UInt8.self)
            output.storeBigEndian16(min(mtu, 65535), 26)
        }
        memcpy(output + 28, packet, quoted)
        let sum = InternetChecksum.add(output + 20, total &- 20)
        output.storeBytes(of: ~InternetChecksum.fold(sum), toByteOffset: 22, as: UInt16.self)
        return total
    }
}
