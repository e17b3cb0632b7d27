// Addresses out of and into ASCII bytes.
//
// The UAPI and configuration files bring up to 130,560 prefixes at once, so nothing here makes a String or an
// array on the way. The String forms of the same types come through these functions, so that there is one
// grammar: four decimal numbers without leading zeros (RFC 3986 `IPv4address`), and RFC 4291 section 2.2 as
// inet_pton(3) reads it; out, RFC 5952. Input is hostile: every index is checked against the buffer's count.

extension IPv4Address {
    /// Exactly an address, nothing before or after it.
    public init?(ascii text: UnsafeRawBufferPointer) {
        var value: UInt32 = 0
        var octet: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in text {
            if byte == ASCII.dot {
                guard digits > 0, dots < 3 else { return nil }
                value = value << 8 | octet
                (octet, digits, dots) = (0, 0, dots + 1)
                continue
            }
            // "010" is octal to some tools and decimal to others: refuse it.
            guard let digit = ASCII.digit(byte), digits == 0 || octet != 0 else { return nil }
            octet = octet * 10 + UInt32(digit)
            digits += 1
            guard octet <= 255 else { return nil }
        }
        guard dots == 3, digits > 0 else { return nil }
        self.init(rawValue: value << 8 | octet)
    }
}

extension IPv6Address {
    /// Exactly an address without scope, nothing before or after it.
    public init?(ascii text: UnsafeRawBufferPointer) {
        var head = GroupsOfIPv6()
        var tail = GroupsOfIPv6()
        var hasGap = false
        var position = 0
        // The longest form is 45 characters: 0000:0000:0000:0000:0000:ffff:255.255.255.255.
        guard (2...45).contains(text.count) else { return nil }
        if text[0] == ASCII.colon {
            guard text[1] == ASCII.colon else { return nil }
            hasGap = true
            position = 2
        }
        while position < text.count {
            let start = position
            var group: UInt16 = 0
            while position < text.count, let nibble = ASCII.hexDigit(text[position]) {
                guard position - start < 4 else { return nil }
                group = group << 4 | UInt16(nibble)
                position += 1
            }
            if position < text.count, text[position] == ASCII.dot {
                guard let last = IPv4Address(ascii: UnsafeRawBufferPointer(rebasing: text[start...])) else {
                    return nil
                }
                for half in [last.rawValue >> 16, last.rawValue & 0xffff] {
                    if hasGap { tail.append(UInt16(half)) } else { head.append(UInt16(half)) }
                }
                break
            }
            guard position > start else { return nil }
            if hasGap { tail.append(group) } else { head.append(group) }
            guard head.count + tail.count <= 8 else { return nil }
            if position == text.count { break }
            guard text[position] == ASCII.colon, position + 1 < text.count else { return nil }
            position += 1
            if text[position] == ASCII.colon {
                guard !hasGap else { return nil }
                hasGap = true
                position += 1
            }
        }
        // "::" stands for at least one group.
        guard hasGap ? head.count + tail.count <= 7 : head.count == 8 else { return nil }
        let value = head.value << UInt128(16 * (8 - head.count)) | tail.value
        self.init(high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
    }
}

/// The 16-bit groups on one side of `::`, right-aligned.
private struct GroupsOfIPv6 {
    var value: UInt128 = 0
    var count = 0

    mutating func append(_ group: UInt16) {
        value = value << 16 | UInt128(group)
        count += 1
    }
}

extension IPAddress {
    /// Exactly an address of either family.
    public init?(ascii text: UnsafeRawBufferPointer) {
        if let address = IPv4Address(ascii: text) {
            self = .v4(address)
        } else if let address = IPv6Address(ascii: text) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// The canonical text, up to 45 bytes, valid inside `body`.
    public func withASCII<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeTemporaryAllocation(byteCount: 48, alignment: 1) { buffer in
            var writer = ASCIIWriter(buffer: buffer)
            switch self {
            case .v4(let address): writer.append(address)
            case .v6(let address): writer.append(address)
            }
            return body(UnsafeRawBufferPointer(rebasing: buffer[..<writer.count]))
        }
    }
}

extension IPPrefix {
    /// `10.0.0.0/8`, or a bare address for its full length; host bits are masked off.
    public init?(ascii text: UnsafeRawBufferPointer) {
        guard let parsed = InterfaceAddress.parse(ascii: text) else { return nil }
        self.init(masking: parsed.address, length: parsed.length)
    }
}

extension InterfaceAddress {
    /// `ADDRESS[/LENGTH]` with host bits kept.
    public static func parse(ascii text: UnsafeRawBufferPointer) -> (address: IPAddress, length: UInt8)? {
        guard let slash = text.firstIndex(of: ASCII.slash) else {
            return IPAddress(ascii: text).map { ($0, $0.bitWidth) }
        }
        guard let address = IPAddress(ascii: UnsafeRawBufferPointer(rebasing: text[..<slash])) else { return nil }
        let digits = UnsafeRawBufferPointer(rebasing: text[(slash + 1)...])
        guard (1...3).contains(digits.count) else { return nil }
        var length: UInt16 = 0
        for byte in digits {
            guard let digit = ASCII.digit(byte) else { return nil }
            length = length * 10 + UInt16(digit)
        }
        guard length <= address.bitWidth else { return nil }
        return (address, UInt8(length))
    }
}

/// Runs `body` over the text's UTF-8 bytes.
func asciiBytes<Result>(of text: some StringProtocol, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    if let result = text.utf8.withContiguousStorageIfAvailable({ body(UnsafeRawBufferPointer($0)) }) { return result }
    return Array(text.utf8).withUnsafeBytes(body)
}

enum ASCII {
    static let dot = UInt8(ascii: ".")
    static let colon = UInt8(ascii: ":")
    static let slash = UInt8(ascii: "/")

    static func digit(_ byte: UInt8) -> UInt8? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? byte - UInt8(ascii: "0") : nil
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        let lower = byte | 0x20
        if let digit = digit(byte) { return digit }
        return (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(lower) ? lower - UInt8(ascii: "a") + 10 : nil
    }
}

/// Fills a buffer of 48 bytes, which the longest address (45) leaves room in.
private struct ASCIIWriter {
    let buffer: UnsafeMutableRawBufferPointer
    var count = 0

    mutating func append(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
    }

    mutating func append(decimal octet: UInt8) {
        if octet >= 100 { append(UInt8(ascii: "0") + octet / 100) }
        if octet >= 10 { append(UInt8(ascii: "0") + octet / 10 % 10) }
        append(UInt8(ascii: "0") + octet % 10)
    }

    mutating func append(hex group: UInt16) {
        var started = false
        for shift in [UInt16(12), 8, 4, 0] {
            let nibble = UInt8(group >> shift & 0xf)
            started = started || nibble != 0 || shift == 0
            if started { append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") - 10 + nibble) }
        }
    }

    mutating func append(_ address: IPv4Address) {
        for shift in [UInt32(24), 16, 8, 0] {
            append(decimal: UInt8(address.rawValue >> shift & 0xff))
            if shift > 0 { append(ASCII.dot) }
        }
    }

    /// RFC 5952: lower case, the longest run of two or more zero groups shortened, the first one of equals.
    mutating func append(_ address: IPv6Address) {
        if address.high == 0, address.low >> 32 == 0xffff {
            for byte in "::ffff:".utf8 { append(byte) }
            append(IPv4Address(rawValue: UInt32(truncatingIfNeeded: address.low)))
            return
        }
        let gap = address.longestZeroRun
        var index = 0
        while index < 8 {
            if index == gap.lowerBound, !gap.isEmpty {
                append(ASCII.colon)
                append(ASCII.colon)
                index = gap.upperBound
                continue
            }
            if index > 0, index != gap.upperBound || gap.isEmpty { append(ASCII.colon) }
            append(hex: address.group(index))
            index += 1
        }
    }
}

extension IPv6Address {
    /// The 16-bit group at `index`, 0 to 7 from the left.
    func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64((3 - index % 4) * 16))
    }

    fileprivate var longestZeroRun: Range<Int> {
        var best = 0..<0
        var start = 0
        for index in 0..<8 {
            if group(index) != 0 {
                start = index + 1
            } else if index - start + 1 > max(best.count, 1) {
                best = start..<(index + 1)
            }
        }
        return best
    }
}
