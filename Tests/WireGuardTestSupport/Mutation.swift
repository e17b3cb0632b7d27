/// One small damage of the kinds that break parsers.
public func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    guard !bytes.isEmpty else { return bytes.append(UInt8(truncatingIfNeeded: generator.next())) }
    let index = generator.below(bytes.count)
    let interesting = Array("=\n[]:/.,#+-% \t\r0129afAF\u{0}".utf8) + [0xff, 0x80, 0xc3]
    switch generator.below(8) {
    case 0: bytes[index] = UInt8(truncatingIfNeeded: generator.next())
    case 1: bytes[index] = interesting[generator.below(interesting.count)]
    case 2: bytes.insert(interesting[generator.below(interesting.count)], at: index)
    case 3: bytes.remove(at: index)
    case 4: bytes.removeSubrange(index..<min(bytes.count, index + 1 + generator.below(80)))
    case 5: bytes.insert(contentsOf: bytes[index..<min(bytes.count, index + 1 + generator.below(80))], at: index)
    case 6: bytes.insert(contentsOf: repeatElement(bytes[index], count: 1 + generator.below(300)), at: index)
    default:
        let other = generator.below(bytes.count)
        bytes.swapAt(index, other)
    }
}
