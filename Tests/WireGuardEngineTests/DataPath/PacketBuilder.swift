import Testing

@testable import WireGuardEngine

/// Packets made byte by byte, with checksums computed the slow way: nothing here shares code with the data path.
struct PacketBuilder {
    var isIPv6 = false
    var isTCP = true
    var source: [UInt8] = [10, 0, 0, 1]
    var destination: [UInt8] = [10, 0, 0, 2]
    var sourcePort: UInt16 = 40000
    var destinationPort: UInt16 = 443
    var trafficClass: UInt8 = 0
    var timeToLive: UInt8 = 64
    var identification: UInt16 = 7
    var dontFragment = true
    var flowLabel: UInt32 = 0x12345
    var sequence: UInt32 = 1000
    var acknowledgement: UInt32 = 77
    var flags: UInt8 = 0x10
    var window: UInt16 = 512
    var transportOptions: [UInt8] = []
    var ipOptions: [UInt8] = []
    /// IPv6 extension headers, the last of which names the transport.
    var extensionHeaders: [UInt8] = []
    var firstExtension: UInt8 = 0
    var payload: [UInt8] = []

    static func ipv6() -> PacketBuilder {
        var builder = PacketBuilder()
        builder.isIPv6 = true
        builder.source = [0xfd] + [UInt8](repeating: 0, count: 14) + [1]
        builder.destination = [0xfd] + [UInt8](repeating: 0, count: 14) + [2]
        return builder
    }

    var transportProtocol: UInt8 { isTCP ? 6 : 17 }
    var networkBytes: Int { isIPv6 ? 40 + extensionHeaders.count : 20 + ipOptions.count }
    var transportBytes: Int { isTCP ? 20 + transportOptions.count : 8 }
    var checksumOffset: Int { isTCP ? 16 : 6 }

    /// The whole packet. Without `complete` the transport checksum is the pseudo header's sum, as the kernel leaves it.
    func build(complete: Bool = true) -> [UInt8] {
        var transport: [UInt8] = big(sourcePort) + big(destinationPort)
        if isTCP {
            transport += big(sequence) + big(acknowledgement)
            transport += [UInt8(transportBytes / 4) << 4, flags] + big(window) + [0, 0, 0, 0] + transportOptions
        } else {
            transport += big(UInt16(8 + payload.count)) + [0, 0]
        }
        let length = transport.count + payload.count
        let pseudo = source + destination + big(UInt32(length)) + [0, 0, 0, transportProtocol]
        let sum = complete ? ~PacketBuilder.sum(pseudo + transport + payload) : PacketBuilder.sum(pseudo)
        let checksum = complete && !isTCP && sum == 0 ? 0xffff : sum
        transport[checksumOffset] = UInt8(checksum >> 8)
        transport[checksumOffset + 1] = UInt8(checksum & 0xff)
        return network(length) + transport + payload
    }

    private func network(_ length: Int) -> [UInt8] {
        if isIPv6 {
            let first = UInt32(6) << 28 | UInt32(trafficClass) << 20 | flowLabel
            let next = extensionHeaders.isEmpty ? transportProtocol : firstExtension
            return big(first) + big(UInt16(extensionHeaders.count + length)) + [next, timeToLive] + source + destination
                + extensionHeaders
        }
        var header: [UInt8] = [0x40 | UInt8(networkBytes / 4), trafficClass] + big(UInt16(networkBytes + length))
        header += big(identification) + [dontFragment ? 0x40 : 0, 0, timeToLive, transportProtocol, 0, 0]
        header += source + destination + ipOptions
        let checksum = ~PacketBuilder.sum(header)
        header[10] = UInt8(checksum >> 8)
        header[11] = UInt8(checksum & 0xff)
        return header
    }

    /// RFC 1071, sixteen bits at a time.
    static func sum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
            sum = sum & 0xffff + sum >> 16
        }
        return UInt16(sum & 0xffff + sum >> 16)
    }

    /// What the kernel would cut the packet into, each piece built anew.
    func segments(of size: Int) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var offset = 0
        repeat {
            let end = min(offset + size, payload.count)
            var piece = self
            piece.payload = Array(payload[offset..<end])
            piece.sequence = sequence &+ UInt32(offset)
            piece.identification = identification &+ UInt16(pieces.count)
            if isTCP {
                if end < payload.count { piece.flags &= ~0x09 }
                if offset > 0 { piece.flags &= ~0x80 }
            }
            pieces.append(piece.build())
            offset = end
        } while offset < payload.count
        return pieces
    }

    func virtioHeader(segment: Int) -> VirtioHeader {
        var header = VirtioHeader()
        header.needsChecksum = true
        header.segmentation = isTCP ? (isIPv6 ? .tcp6 : .tcp4) : .udp
        header.segmentBytes = UInt16(segment)
        header.checksumStart = UInt16(networkBytes)
        header.checksumOffset = UInt16(checksumOffset)
        header.headerBytes = UInt16(networkBytes + transportBytes)
        return header
    }

    private func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
    private func big(_ value: UInt32) -> [UInt8] { big(UInt16(value >> 16)) + big(UInt16(value & 0xffff)) }
}

/// Every piece that a splitter makes of a packet; nil when it refuses.
func split(_ packet: [UInt8], _ header: VirtioHeader, maximumBytes: Int = 65536) -> [[UInt8]]? {
    var bytes = packet
    let count = bytes.count
    return bytes.withUnsafeMutableBytes { buffer -> [[UInt8]]? in
        guard let base = buffer.baseAddress,
            var splitter = SegmentSplitter(base, count, header, maximumBytes: maximumBytes)
        else { return nil }
        var pieces: [[UInt8]] = []
        while true {
            var output = [UInt8](repeating: 0xee, count: splitter.nextByteCount + 8)
            let announced = splitter.nextByteCount
            let written = output.withUnsafeMutableBytes { $0.baseAddress.flatMap { splitter.next(into: $0) } }
            guard let written else { return pieces }
            #expect(written == announced)
            #expect(output[written...].allSatisfy { $0 == 0xee }, "wrote beyond its piece")
            pieces.append(Array(output[..<written]))
        }
    }
}
