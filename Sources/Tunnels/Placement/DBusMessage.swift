/// The few D-Bus messages that asking systemd for a scope takes, in and out. Little-endian, no descriptors.
///
/// Our own, because the libraries for it bring an event loop and threads into a plugin that lives for 30 ms.
/// Source: the D-Bus Specification, "Marshaling" and "Message Format".
struct DBusMessage {
    enum Kind: UInt8 {
        case call = 1
        case reply = 2
        case error = 3
        case signal = 4
    }

    var kind: Kind
    var serial: UInt32 = 0
    var replySerial: UInt32?
    var path: String?
    var interface: String?
    var member: String?
    var errorName: String?
    var destination: String?
    var signature = ""
    var body: [UInt8] = []

    init(kind: Kind) { self.kind = kind }

    /// A method call without its body.
    static func call(_ member: String, on path: String, of interface: String, at destination: String) -> DBusMessage {
        var message = DBusMessage(kind: .call)
        message.path = path
        message.interface = interface
        message.member = member
        message.destination = destination
        return message
    }

    /// The message on the wire.
    func encoded() -> [UInt8] {
        var writer = DBusWriter()
        writer.byte(UInt8(ascii: "l"))
        writer.byte(kind.rawValue)
        writer.byte(0)
        writer.byte(1)
        writer.unsigned(UInt32(body.count))
        writer.unsigned(serial)
        writer.array(elementAlignment: 8) { fields in
            func field(_ code: UInt8, _ signature: String, _ text: String?) {
                guard let text else { return }
                fields.align(8)
                fields.byte(code)
                fields.signature(signature)
                if signature == "g" { fields.signature(text) } else { fields.string(text) }
            }
            field(1, "o", path)
            field(2, "s", interface)
            field(3, "s", member)
            field(6, "s", destination)
            field(8, "g", signature.isEmpty ? nil : signature)
        }
        writer.align(8)
        return writer.bytes + body
    }

    /// The first message of a buffer and how many bytes it took; nil while it is incomplete.
    ///
    /// - Throws: `DBusFormatError` for what is no message, or one of more than 128 KiB.
    static func decode(_ bytes: [UInt8]) throws(DBusFormatError) -> (message: DBusMessage, count: Int)? {
        guard bytes.count >= 16 else { return nil }
        guard bytes[0] == UInt8(ascii: "l"), bytes[3] == 1 else { throw DBusFormatError() }
        var reader = DBusReader(bytes: bytes, offset: 4)
        let bodyLength = try reader.unsigned()
        let serial = try reader.unsigned()
        let fieldsLength = try reader.unsigned()
        guard bodyLength <= 1 << 17, fieldsLength <= 1 << 17 else { throw DBusFormatError() }
        let bodyStart = (16 + Int(fieldsLength) + 7) & ~7
        let total = bodyStart + Int(bodyLength)
        guard bytes.count >= total else { return nil }
        // A type that we do not know is to be ignored: as a signal nobody waits for.
        var message = DBusMessage(kind: Kind(rawValue: bytes[1]) ?? .signal)
        message.serial = serial
        while reader.offset < 16 + Int(fieldsLength) {
            reader.align(8)
            let code = try reader.byte()
            switch try reader.signature() {
            case "u":
                let value = try reader.unsigned()
                if code == 5 { message.replySerial = value }
            case "o", "s":
                let text = try reader.string()
                switch code {
                case 1: message.path = text
                case 2: message.interface = text
                case 3: message.member = text
                case 4: message.errorName = text
                default: break
                }
            case "g":
                let text = try reader.signature()
                if code == 8 { message.signature = text }
            default: throw DBusFormatError()
            }
        }
        message.body = Array(bytes[bodyStart..<total])
        return (message, total)
    }
}

/// Bytes that are no D-Bus message.
struct DBusFormatError: Error {}

/// Values in D-Bus marshalling; alignment counts from the start of the buffer.
struct DBusWriter {
    private(set) var bytes: [UInt8] = []

    mutating func align(_ boundary: Int) {
        while bytes.count % boundary != 0 { bytes.append(0) }
    }

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func unsigned(_ value: UInt32) {
        align(4)
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// A string or an object path.
    mutating func string(_ text: String) {
        unsigned(UInt32(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
    }

    mutating func signature(_ text: String) {
        bytes.append(UInt8(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
    }

    mutating func variant(_ signature: String, _ value: (inout DBusWriter) -> Void) {
        self.signature(signature)
        value(&self)
    }

    /// The length does not count the padding before the first element.
    mutating func array(elementAlignment: Int, _ elements: (inout DBusWriter) -> Void) {
        unsigned(0)
        let lengthAt = bytes.count - 4
        align(elementAlignment)
        let start = bytes.count
        elements(&self)
        let length = UInt32(bytes.count - start)
        withUnsafeBytes(of: length.littleEndian) { bytes.replaceSubrange(lengthAt..<lengthAt + 4, with: $0) }
    }
}

/// The reverse; every read checks its bounds.
struct DBusReader {
    let bytes: [UInt8]
    private(set) var offset: Int

    init(bytes: [UInt8], offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    mutating func align(_ boundary: Int) { offset = (offset + boundary - 1) / boundary * boundary }

    mutating func byte() throws(DBusFormatError) -> UInt8 {
        guard offset < bytes.count else { throw DBusFormatError() }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func unsigned() throws(DBusFormatError) -> UInt32 {
        align(4)
        guard offset + 4 <= bytes.count else { throw DBusFormatError() }
        defer { offset += 4 }
        return bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func string() throws(DBusFormatError) -> String { try text(count: Int(unsigned())) }

    mutating func signature() throws(DBusFormatError) -> String { try text(count: Int(byte())) }

    private mutating func text(count: Int) throws(DBusFormatError) -> String {
        guard count < bytes.count, offset + count < bytes.count else { throw DBusFormatError() }
        defer { offset += count + 1 }
        return String(decoding: bytes[offset..<offset + count], as: UTF8.self)
    }
}
