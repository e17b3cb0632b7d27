import IPAddressing
import WireGuardCrypto
import WireGuardModel

// The values of an [Interface] section.

extension ConfigurationParser {
    mutating func setInterface(_ key: ConfigurationKey, _ value: Piece) {
        let name = key.rawValue
        switch key {
        case .privateKey:
            guard let secret = secret(value, name) else { return }
            configuration.privateKey = PrivateKey(secret: secret).map { .key($0) }
            if secret.isZero { warn(column: value.column, name, nil, "is all zeros, which means no key") }
        case .privateKeyFile: configuration.privateKey = text(value, name).map { .file($0) }
        case .privateKeyCommand: configuration.privateKey = text(value, name).map { .command($0) }
        case .listenPort:
            configuration.listenPort = number(value, name, "a port from 0 to 65535") ?? configuration.listenPort
        case .firewallMark: setFirewallMark(value)
        case .address: for item in value.items where !item.isEmpty { addAddresses(item) }
        case .dns: for item in value.items { for word in item.words { addDNS(word) } }
        case .mtu: setMTU(value)
        case .table: setTable(value)
        case .preUp: if let command = text(value, name) { configuration.hooks.preUp.append(command) }
        case .postUp: if let command = text(value, name) { configuration.hooks.postUp.append(command) }
        case .preDown: if let command = text(value, name) { configuration.hooks.preDown.append(command) }
        case .postDown: if let command = text(value, name) { configuration.hooks.postDown.append(command) }
        case .saveConfig:
            switch value.string.lowercased() {
            case "true": configuration.saveConfig = true
            case "false": configuration.saveConfig = false
            default: fail(value, name, "expected true or false")
            }
        case .publicKey, .presharedKey, .presharedKeyFile, .presharedKeyCommand, .allowedIPs, .endpoint,
            .persistentKeepalive:
            break
        }
    }

    /// Text that is kept as it is: a path or a command.
    mutating func text(_ value: Piece, _ name: String) -> String? {
        guard let text = String(validating: value.bytes, as: UTF8.self), !text.unicodeScalars.contains("\0") else {
            fail(column: value.column, name, nil, "expected text in UTF-8")
            return nil
        }
        return text
    }

    mutating func number<Number: FixedWidthInteger>(_ value: Piece, _ name: String, _ expected: String) -> Number? {
        guard let number: Number = decimal(value.stringWithoutSpaces) else {
            fail(value, name, "expected \(expected)")
            return nil
        }
        return number
    }

    private mutating func setFirewallMark(_ value: Piece) {
        let word = value.stringWithoutSpaces
        if word.lowercased() == "off" {
            configuration.firewallMark = 0
        } else if let mark: UInt32 = decimal(word) ?? hexadecimal(word) {
            configuration.firewallMark = mark
        } else {
            fail(value, "FwMark", "expected off, a number to 4294967295, or 0x and hexadecimal digits")
        }
    }

    private mutating func setMTU(_ value: Piece) {
        let expected = "a number of bytes from 68 to 65535"
        guard let mtu: UInt16 = number(value, "MTU", expected) else { return }
        guard mtu >= 68 else { return fail(value, "MTU", "expected \(expected)") }
        configuration.mtu = mtu
        if mtu < 1280 { warn(column: value.column, "MTU", value.string, "is below 1280, so IPv6 will not work") }
    }

    private mutating func setTable(_ value: Piece) {
        let word = value.string
        let known = word.utf8.allSatisfy { isBase64Digit($0) && $0 != UInt8(ascii: "/") || "_.-".utf8.contains($0) }
        switch word.lowercased() {
        case "off": configuration.table = .off
        case "auto": configuration.table = .auto
        case let lower where lower.utf8.first.map { (0x30...0x39).contains($0) } == true:
            guard let number: UInt32 = decimal(lower) ?? hexadecimal(lower), number > 0 else {
                return fail(value, "Table", "expected off, auto, a number from 1 to 4294967295, or a table's name")
            }
            configuration.table = .number(number)
        default:
            guard known else {
                return fail(value, "Table", "expected off, auto, a number from 1 to 4294967295, or a table's name")
            }
            configuration.table = .name(word)
        }
    }

    /// `ADDRESS[/LENGTH]`, several of them, each perhaps with `peer ADDRESS[/LENGTH]`, ip-address(8).
    private mutating func addAddresses(_ item: Piece) {
        let words = item.words
        var index = 0
        while index < words.count {
            let first = words[index]
            let hasPeer = index + 2 < words.count && words[index + 1].string == "peer"
            let last = hasPeer ? words[index + 2] : first
            let whole = item.piece(first.range.lowerBound..<last.range.upperBound)
            index += hasPeer ? 3 : 1
            guard let address = InterfaceAddress(whole.string) else {
                fail(
                    whole, "Address",
                    "expected an address such as 10.0.0.2/24, fd00::2/64 or 10.0.0.1/32 peer 10.0.0.2/32")
                continue
            }
            configuration.addresses.append(address)
        }
    }

    /// wg-quick(8)'s rule: digits and dots, or a colon, make a server; anything else is a search domain.
    private mutating func addDNS(_ word: Piece) {
        let text = word.string
        let isServer =
            text.utf8.contains(UInt8(ascii: ":"))
            || text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        if isServer {
            guard let address = IPAddress(text) else {
                return fail(word, "DNS", "expected an IPv4 or IPv6 address without scope, or a search domain")
            }
            configuration.dnsServers.append(address)
        } else if isHostName(text) {
            configuration.dnsSearchDomains.append(text)
        } else {
            fail(word, "DNS", "expected an address of a server, or a search domain")
        }
    }
}

/// Digits only, leading zeros allowed; nil beyond the type.
func decimal<Number: FixedWidthInteger>(_ text: String) -> Number? {
    !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Number(text) : nil
}

/// `0x` and digits.
func hexadecimal<Number: FixedWidthInteger>(_ text: String) -> Number? {
    guard text.hasPrefix("0x"), text.utf8.count > 2, text.utf8.dropFirst(2).first != UInt8(ascii: "+"),
        text.utf8.dropFirst(2).first != UInt8(ascii: "-")
    else { return nil }
    return Number(text.dropFirst(2), radix: 16)
}

/// Labels of letters, digits, `-` and `_` (and bytes beyond ASCII), RFC 1123 as resolvers take it, 253 bytes at most.
public func isHostName(_ text: String) -> Bool {
    let name = text.utf8.last == UInt8(ascii: ".") ? text.utf8.dropLast() : text.utf8[...]
    guard (1...253).contains(name.count) else { return false }
    return name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
        (1...63).contains(label.count) && label.first != UInt8(ascii: "-")
            && label.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), 0x80...0xff:
                    true
                default: false
                }
            }
    }
}
