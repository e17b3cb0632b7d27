/// The four messages on the wire and their places (checklist M1 to M5; kernel messages.h, `validate_header_len`).
///
/// Everything here reads packet bytes: every length is checked before a byte is touched, and nothing traps.
enum Message {
    /// Type 1, exactly 148 bytes.
    enum Initiation {
        static let byteCount = 148
        static let sender = 4
        static let ephemeral = 8
        static let encryptedStatic = 40
        static let encryptedTimestamp = 88
    }

    /// Type 2, exactly 92 bytes.
    enum Response {
        static let byteCount = 92
        static let sender = 4
        static let receiver = 8
        static let ephemeral = 12
        static let encryptedNothing = 44
    }

    /// Type 3, exactly 64 bytes.
    enum CookieReply {
        static let byteCount = 64
        static let receiver = 4
        static let nonce = 8
        static let encryptedCookie = 32
    }

    /// Type 4, at least 32 bytes: header 16, text, tag 16.
    enum Data {
        static let headerByteCount = 16
        static let overheadByteCount = 32
        static let receiver = 4
        static let counter = 8
    }

    /// mac1 and mac2 end an initiation and a response, 16 bytes each.
    static let macsByteCount = 32

    /// The first four bytes: the type and three zero bytes, compared as one little-endian number (checklist M1).
    enum Kind: UInt32 {
        case initiation = 1
        case response = 2
        case cookieReply = 3
        case data = 4
    }

    /// Nil for anything that must be dropped without an answer.
    @inline(__always)
    static func kind(_ datagram: UnsafeRawBufferPointer) -> Kind? {
        guard datagram.count >= 4, let base = datagram.baseAddress,
            let kind = Kind(rawValue: UInt32(littleEndian: base.loadUnaligned(as: UInt32.self)))
        else { return nil }
        let fits =
            switch kind {
            case .initiation: datagram.count == Initiation.byteCount
            case .response: datagram.count == Response.byteCount
            case .cookieReply: datagram.count == CookieReply.byteCount
            case .data: datagram.count >= Data.overheadByteCount
            }
        return fits ? kind : nil
    }

    /// The receiver index and the counter of a datagram that `kind` called `.data`.
    @inline(__always)
    static func dataHeader(_ datagram: UnsafeRawPointer) -> (receiver: UInt32, counter: UInt64) {
        (
            UInt32(littleEndian: datagram.loadUnaligned(fromByteOffset: Data.receiver, as: UInt32.self)),
            UInt64(littleEndian: datagram.loadUnaligned(fromByteOffset: Data.counter, as: UInt64.self))
        )
    }

    /// Writes the 16 bytes before the ciphertext.
    @inline(__always)
    static func writeDataHeader(_ datagram: UnsafeMutableRawPointer, receiver: UInt32, counter: UInt64) {
        datagram.storeBytes(of: Kind.data.rawValue.littleEndian, as: UInt32.self)
        datagram.storeBytes(of: receiver.littleEndian, toByteOffset: Data.receiver, as: UInt32.self)
        datagram.storeBytes(of: counter.littleEndian, toByteOffset: Data.counter, as: UInt64.self)
    }
}
