import LinuxSystem
import WireGuardCrypto

/// A tunnel's name on this host: 1 to 15 of `A-Z a-z 0-9 _ = + . -`, as wg-quick(8) allows for interfaces.
///
/// It names a directory and a socket, so nothing else may pass: `.` and `..` are refused too.
public struct TunnelID: Hashable, Comparable, Sendable {
    public let text: String

    public init(_ text: String) throws(TunnelError) {
        guard TunnelID.isValid(text) else {
            throw TunnelError(
                .usage, "\"\(printable(text))\" is not a tunnel id",
                cure: "use 1 to 15 characters out of A-Z a-z 0-9 _ = + . -")
        }
        self.text = text
    }

    /// The id that a plugin uses: `c` and 14 hexadecimal digits of a hash over network, container and interface.
    public init(network: String, container: String, interface: String) {
        let digest = digestOfNames([network, container, interface])
        text = "c" + KeyText.hex(Array(digest.prefix(7)))
    }

    static func isValid(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count) && text != "." && text != ".." && text.utf8.allSatisfy(isNameByte)
    }

    public static func < (left: TunnelID, right: TunnelID) -> Bool { left.text < right.text }
}

extension TunnelID: CustomStringConvertible {
    public var description: String { text }
}

/// The name of an interface inside the target: what the kernel takes (`dev_valid_name`), and no control
/// characters or `%`, which would be a pattern.
public struct InterfaceName: Hashable, Sendable {
    public let text: String

    public init(_ text: String) throws(TunnelError) {
        let bytes = text.utf8
        let good = bytes.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x2f && $0 != 0x3a && $0 != 0x25 }
        guard (1...15).contains(bytes.count), good, text != ".", text != "..", text != "lo", text != "all",
            text != "default"
        else {
            throw TunnelError(
                .usage, "\"\(printable(text))\" cannot be the name of a tunnel's interface",
                cure:
                    "use 1 to 15 printable characters without space, '/', ':' and '%', and not \"lo\", \"all\" or \"default\""
            )
        }
        self.text = text
    }
}

extension InterfaceName: CustomStringConvertible {
    public var description: String { text }
}

func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    case UInt8(ascii: "_"), UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "-"): true
    default: false
    }
}
