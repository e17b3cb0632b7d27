import Glibc

@testable import WireGuardEngine

/// Cutting a TCP super-packet of 44 segments, and joining the 44 again.
func segmentStages() -> [Stage] {
    [
        Stage(name: "split-44x1420", unitsPerRun: SegmentTrain.count) {
            let train = SegmentTrain()
            return { train.split() }
        },
        Stage(name: "coalesce-44x1420", unitsPerRun: SegmentTrain.count) {
            let train = SegmentTrain()
            return { train.coalesce() }
        },
    ]
}

private final class SegmentTrain {
    static let count = 44
    private static let headerBytes = 40
    private static let payloadBytes = 1_380
    private static let stride = 16 + headerBytes + payloadBytes + 32

    private let superPacket: UnsafeMutableRawPointer
    private let superBytes = SegmentTrain.headerBytes + SegmentTrain.count * SegmentTrain.payloadBytes
    private let pieces: UnsafeMutableRawPointer
    private let firstHeader: UnsafeMutableRawPointer
    private var header = VirtioHeader()
    private var coalescer = SegmentCoalescer(sink: NullSink(), joinsTCP: true, joinsUDP: true)

    init() {
        superPacket = .allocate(byteCount: superBytes, alignment: 64)
        superPacket.initializeMemory(as: UInt8.self, repeating: 0x61, count: superBytes)
        // 10.0.0.1 to 10.0.0.2, don't fragment, TTL 64; TCP with ACK only, no options.
        let ip: [UInt8] = [0x45, 0, UInt8(superBytes >> 8), UInt8(superBytes & 255), 0, 1, 0x40, 0, 64, 6, 0, 0]
        let tcp: [UInt8] = [4, 1, 4, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]
        superPacket.copyMemory(from: ip + [10, 0, 0, 1, 10, 0, 0, 2] + tcp, byteCount: 40)
        header.needsChecksum = true
        header.segmentation = .tcp4
        header.segmentBytes = UInt16(SegmentTrain.payloadBytes)
        header.checksumStart = 20
        header.checksumOffset = 16
        header.headerBytes = 40
        pieces = .allocate(byteCount: SegmentTrain.count * SegmentTrain.stride, alignment: 64)
        firstHeader = .allocate(byteCount: 40, alignment: 8)
        split()
        firstHeader.copyMemory(from: pieces + 16, byteCount: 40)
    }

    func split() {
        guard var splitter = SegmentSplitter(superPacket, superBytes, header, maximumBytes: 1_420) else {
            fatalError("the super-packet is refused")
        }
        var at = pieces + 16
        while splitter.next(into: at) != nil { at += SegmentTrain.stride }
        precondition(at == pieces + 16 + SegmentTrain.count * SegmentTrain.stride)
    }

    func coalesce() {
        (pieces + 16).copyMemory(from: firstHeader, byteCount: 40)
        let before = coalescer.sink.packetCount
        for index in 0..<SegmentTrain.count {
            coalescer.add(pieces + 16 + index * SegmentTrain.stride, 1_420, isIPv6: false)
        }
        coalescer.flush()
        precondition(coalescer.sink.packetCount == before + 1)
    }
}

private struct NullSink: PacketSink {
    var virtioBytes: Int { 10 }
    var packetCount = 0

    mutating func write(_ pieces: UnsafeMutablePointer<iovec>, _ count: Int) { packetCount &+= 1 }
}
