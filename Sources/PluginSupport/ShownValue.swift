import JSON
import LinuxSystem
import Tunnels

extension JSONValue {
    /// The value for a message: short, fit for a terminal, and hidden when it may be a key. A key that somebody
    /// pasted into the wrong field must not be printed by us on top of it.
    public var shown: String {
        let text = serialized
        return JSONValue.mayHoldKey(text) ? "(hidden: it looks like a key)" : printable(text)
    }

    /// Whether 43 base64 digits and `=`, or 64 hexadecimal digits, stand anywhere in a row.
    public static func mayHoldKey(_ text: String) -> Bool {
        var base64Run = 0
        var hexRun = 0
        for byte in text.utf8 {
            let isHex = (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) || (0x41...0x46).contains(byte)
            let isLetter = (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            hexRun = isHex ? hexRun + 1 : 0
            if hexRun >= 64 { return true }
            if isHex || isLetter || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/") {
                base64Run += 1
            } else {
                if byte == UInt8(ascii: "="), base64Run >= 43 { return true }
                base64Run = 0
            }
        }
        return false
    }
}
