import CLinux
import Glibc

/// One received TCP or UDP packet, seen as a possible part of a larger one.
struct FlowSegment {
    let packet: UnsafeMutableRawPointer
    let isIPv6: Bool
    let isTCP: Bool
    /// Whether it may be joined with others at all; if not it still belongs to a flow, whose order counts.
    let isJoinable: Bool
    /// Nothing may follow it in a joined packet (PSH).
    let isLast: Bool
    let transportStart: Int
    let payloadStart: Int
    let payloadBytes: Int
    /// TCP's; 0 for UDP.
    let sequence: UInt32

    /// Nil when no ports can be read: another protocol, a fragment, IP options, an extension header.
    init?(_ packet: UnsafeMutableRawPointer, _ byteCount: Int, isIPv6: Bool) {
        let transportProtocol: UInt8
        if isIPv6 {
            guard byteCount >= 48 else { return nil }
            transportStart = 40
            transportProtocol = packet.byte(6)
        } else {
            guard byteCount >= 28, packet.byte(0) == 0x45, packet.bigEndian16(6) & 0xbfff == 0 else { return nil }
            transportStart = 20
            transportProtocol = packet.byte(9)
        }
        self.packet = packet
        self.isIPv6 = isIPv6
        let start = transportStart
        switch transportProtocol {
        case UInt8(IPPROTO_TCP):
            guard start &+ 20 <= byteCount else { return nil }
            isTCP = true
            let headerBytes = Int(packet.byte(start &+ 12) >> 4) &* 4
            let flags = packet.byte(start &+ 13)
            let isWhole = headerBytes >= 20 && start &+ headerBytes < byteCount && packet.byte(start &+ 12) & 15 == 0
            // ACK is there, and beside it at most PSH and ECE.
            isJoinable = isWhole && flags & ~0x48 == 0x10
            isLast = flags & 0x08 != 0
            sequence = packet.bigEndian32(start &+ 4)
            payloadStart = isWhole ? start &+ headerBytes : byteCount
        case UInt8(IPPROTO_UDP):
            isTCP = false
            isJoinable =
                Int(packet.bigEndian16(start &+ 4)) == byteCount &- start && packet.bigEndian16(start &+ 6) != 0
                && byteCount > start &+ 8
            isLast = false
            sequence = 0
            payloadStart = start &+ 8
        default: return nil
        }
        payloadBytes = byteCount &- payloadStart
    }
}
