import Glibc
import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// The keys of the UAPI (checklist U3, U4), the frequent ones first.
enum UAPIField {
    case allowedIP, publicKey, presharedKey, endpoint, persistentKeepaliveInterval, replaceAllowedIPs
    case protocolVersion, updateOnly, remove
    case privateKey, listenPort, firewallMark, replacePeers
    case lastHandshakeSeconds, lastHandshakeNanoseconds, receivedBytes, sentBytes, errno

    private static let names: [(StaticString, UAPIField)] = [
        ("allowed_ip", .allowedIP), ("public_key", .publicKey), ("preshared_key", .presharedKey),
        ("endpoint", .endpoint), ("persistent_keepalive_interval", .persistentKeepaliveInterval),
        ("replace_allowed_ips", .replaceAllowedIPs), ("protocol_version", .protocolVersion),
        ("last_handshake_time_sec", .lastHandshakeSeconds), ("last_handshake_time_nsec", .lastHandshakeNanoseconds),
        ("tx_bytes", .sentBytes), ("rx_bytes", .receivedBytes), ("update_only", .updateOnly), ("remove", .remove),
        ("private_key", .privateKey), ("listen_port", .listenPort), ("fwmark", .firewallMark),
        ("replace_peers", .replacePeers), ("errno", .errno),
    ]

    init?(_ name: UnsafeRawBufferPointer) {
        for (known, field) in UAPIField.names where name.equals(known) {
            self = field
            return
        }
        return nil
    }
}

/// Why a line is refused (checklist U3).
enum UAPIRefusal: Error {
    /// No `=` in it.
    case notAField
    /// An unknown key, a key in the wrong place, or a value that is not of its form.
    case invalidValue

    var errno: Errno {
        switch self {
        case .notAField: Errno(EPROTO)
        case .invalidValue: Errno(EINVAL)
        }
    }
}

/// The value of a line, and the forms a value can have.
struct UAPIValue {
    let text: UnsafeRawBufferPointer

    /// Splits `key=value`.
    static func split(
        _ line: UnsafeRawBufferPointer
    ) throws(UAPIRefusal) -> (name: UnsafeRawBufferPointer, value: UAPIValue) {
        guard let equals = line.offset(of: UInt8(ascii: "=")) else { throw .notAField }
        return (
            UnsafeRawBufferPointer(rebasing: line[..<equals]),
            UAPIValue(text: UnsafeRawBufferPointer(rebasing: line[(equals + 1)...]))
        )
    }

    /// Decimal digits only.
    func number<Number: FixedWidthInteger & UnsignedInteger>(_: Number.Type = Number.self) throws(UAPIRefusal) -> Number
    {
        var result: Number = 0
        guard !text.isEmpty else { throw .invalidValue }
        for byte in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { throw .invalidValue }
            let (tens, overflow) = result.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Number(truncatingIfNeeded: byte &- UInt8(ascii: "0")))
            if overflow || carry { throw .invalidValue }
            result = sum
        }
        return result
    }

    /// The word `true`, the only value a flag may have.
    func requireTrue() throws(UAPIRefusal) {
        guard text.equals("true") else { throw .invalidValue }
    }

    func publicKey() throws(UAPIRefusal) -> PublicKey {
        guard let key = PublicKey(hex: text) else { throw .invalidValue }
        return key
    }

    /// All zeros remove the key (checklist A6).
    func privateKey() throws(UAPIRefusal) -> KeyChange<PrivateKey> {
        try PrivateKey(secret: secret()).map { .set($0) } ?? .remove
    }

    func presharedKey() throws(UAPIRefusal) -> KeyChange<PresharedKey> {
        try PresharedKey(secret: secret()).map { .set($0) } ?? .remove
    }

    private func secret() throws(UAPIRefusal) -> SecretBytes {
        guard let secret = SecretBytes.decoding(hex: text) else { throw .invalidValue }
        return secret
    }

    func endpoint(_ interfaceIndex: (String) -> UInt32?) throws(UAPIRefusal) -> Endpoint {
        guard let endpoint = Endpoint(String(decoding: text, as: UTF8.self), interfaceIndex: interfaceIndex)
        else { throw .invalidValue }
        return endpoint
    }

    /// `ADDRESS/LENGTH`, host bits masked off (checklist A1).
    func prefix() throws(UAPIRefusal) -> IPPrefix {
        guard text.offset(of: UInt8(ascii: "/")) != nil, let prefix = IPPrefix(ascii: text)
        else { throw .invalidValue }
        return prefix
    }

    /// The same, or with a `-` before it, which removes it (checklist A6).
    func allowedIP() throws(UAPIRefusal) -> AllowedIPChange {
        guard text.first == UInt8(ascii: "-") else { return .add(try prefix()) }
        return .remove(try UAPIValue(text: UnsafeRawBufferPointer(rebasing: text[1...])).prefix())
    }
}
