/// The one's-complement sum of RFC 1071, over memory of any alignment.
///
/// The sum does not depend on the byte order as long as words are loaded and the result is stored the same
/// way, so everything here is in the machine's order: results go back with `storeUnaligned` unswapped.
enum InternetChecksum {
    /// Adds `byteCount` bytes to a running sum. An odd last byte is padded with zero.
    ///
    /// The 64-bit accumulator takes 32-bit words: it cannot overflow below 16 GiB.
    static func add(_ bytes: UnsafeRawPointer, _ byteCount: Int, to initial: UInt64 = 0) -> UInt64 {
        var sum = initial
        var offset = 0
        let wide = byteCount & ~31
        if wide > 0 {
            // Four independent sums: the compiler turns them into vector additions.
            var lanes = SIMD8<UInt64>.zero
            while offset < wide {
                let words = bytes.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt32>.self)
                lanes &+= SIMD8<UInt64>(truncatingIfNeeded: words)
                offset &+= 32
            }
            sum = sum &+ lanes.wrappedSum()
        }
        while byteCount &- offset >= 4 {
            sum = sum &+ UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            offset &+= 4
        }
        if byteCount &- offset >= 2 {
            sum = sum &+ UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            offset &+= 2
        }
        if offset < byteCount {
            sum = sum &+ UInt64(UInt16(littleEndian: UInt16(bytes.load(fromByteOffset: offset, as: UInt8.self))))
        }
        return sum
    }

    /// To sixteen bits, carries wrapped around; not complemented.
    static func fold(_ sum: UInt64) -> UInt16 {
        var folded = (sum & 0xffff_ffff) &+ (sum >> 32)
        folded = (folded & 0xffff_ffff) &+ (folded >> 32)
        folded = (folded & 0xffff) &+ (folded >> 16)
        folded = (folded & 0xffff) &+ (folded >> 16)
        folded = (folded & 0xffff) &+ (folded >> 16)
        return UInt16(truncatingIfNeeded: folded)
    }

    /// A big-endian 16-bit quantity as a term of the sum.
    static func term(_ value: Int) -> UInt64 { UInt64(UInt16(truncatingIfNeeded: value).bigEndian) }

    /// Takes a 16-bit quantity, as it stands in memory, out of a sum: adding the complement (RFC 1624).
    static func minus(_ value: Int) -> UInt64 { UInt64(~UInt16(truncatingIfNeeded: value).bigEndian) }

    /// Writes the header checksum of an IPv4 header of `headerBytes` bytes.
    static func fillIPv4Header(_ header: UnsafeMutableRawPointer, _ headerBytes: Int) {
        header.storeBytes(of: 0, toByteOffset: 10, as: UInt16.self)
        header.storeBytes(of: ~fold(add(header, headerBytes)), toByteOffset: 10, as: UInt16.self)
    }

    /// The pseudo header of TCP or UDP over IPv4 (RFC 793) or IPv6 (RFC 8200 §8.1), not complemented.
    ///
    /// - Parameters:
    ///   - header: an IP header whose length was checked.
    ///   - transportBytes: the transport header and its payload.
    static func pseudoHeader(
        _ header: UnsafeRawPointer, isIPv6: Bool, transportProtocol: UInt8, transportBytes: Int
    ) -> UInt64 {
        let addresses = isIPv6 ? add(header + 8, 32) : add(header + 12, 8)
        return addresses &+ term(Int(transportProtocol)) &+ term(transportBytes)
    }
}
