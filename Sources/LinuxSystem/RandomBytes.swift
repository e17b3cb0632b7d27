import Glibc

/// The kernel's random bytes. getrandom(2) does not fail once the pool is ready, and blocks before.
public func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
    var offset = 0
    while offset < buffer.count {
        let count = getentropyChunk(buffer, offset)
        offset += count
    }
}

private func getentropyChunk(_ buffer: UnsafeMutableRawBufferPointer, _ offset: Int) -> Int {
    let count = min(256, buffer.count - offset)
    guard let base = buffer.baseAddress else { return count }
    precondition(getentropy(base + offset, count) == 0, "the kernel has no random bytes")
    return count
}
