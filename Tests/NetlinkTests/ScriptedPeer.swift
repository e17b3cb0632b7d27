import CLinux
import Glibc
import LinuxSystem

@testable import Netlink

/// Stands in for the kernel at the other end of a socket pair: a thread that answers each request by a script.
///
/// Messages are taken apart and put together by hand here, so that a mistake in the code under test does not
/// cancel itself out.
final class ScriptedPeer: @unchecked Sendable {
    struct Request {
        let bytes: [UInt8]
        var type: Int { Int(number(bytes[4..<6])) }
        var flags: Int { Int(number(bytes[6..<8])) }
        var sequence: UInt32 { UInt32(number(bytes[8..<12])) }
        /// Generic netlink's command.
        var command: UInt8 { bytes[16] }
        /// After the headers of netlink and generic netlink.
        var attributes: [(type: Int, value: ArraySlice<UInt8>)] { Wire.attributes(bytes[20...]) }
    }

    private let server: Int32
    private var client: Int32
    private var thread = pthread_t()
    private let answer: (Request) -> [[UInt8]]
    private(set) var requests: [Request] = []

    init(_ answer: @escaping (Request) -> [[UInt8]]) {
        self.answer = answer
        var pair: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0)
        (client, server) = (pair[0], pair[1])
        let this = Unmanaged.passRetained(self)
        pthread_create(
            &thread, nil,
            {
                if let argument = $0 { Unmanaged<ScriptedPeer>.fromOpaque(argument).takeRetainedValue().serve() }
                return nil
            }, this.toOpaque())
    }

    /// Once.
    func socket() -> NetlinkSocket { NetlinkSocket(scripted: FileDescriptor(owning: client)) }

    /// All requests, once the client's socket is gone.
    func finish() -> [Request] {
        pthread_join(thread, nil)
        return requests
    }

    private func serve() {
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            let count = recv(server, &buffer, buffer.count, 0)
            if count <= 0 { break }
            let request = Request(bytes: Array(buffer[..<count]))
            requests.append(request)
            for datagram in answer(request) {
                if send(server, datagram, datagram.count, Int32(MSG_NOSIGNAL)) < 0 { break }
            }
        }
        close(server)
    }
}

/// Taking messages apart.
enum Wire {
    static func attributes(_ bytes: ArraySlice<UInt8>) -> [(type: Int, value: ArraySlice<UInt8>)] {
        var found: [(type: Int, value: ArraySlice<UInt8>)] = []
        var rest = bytes
        while rest.count >= 4 {
            let length = Int(number(rest.prefix(2)))
            precondition(length >= 4 && length <= rest.count, "an attribute leaves its message")
            found.append((Int(number(rest.dropFirst(2).prefix(2))) & 0x3fff, rest.dropFirst(4).prefix(length - 4)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        precondition(rest.isEmpty, "bytes after the last attribute")
        return found
    }
}

/// Little-endian, as on every machine this runs on.
func number(_ bytes: some Collection<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }

func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

func attribute(_ type: Int, _ value: [UInt8]) -> [UInt8] {
    littleEndian(UInt16(value.count + 4)) + littleEndian(UInt16(type)) + value
        + [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
}

func netlinkMessage(_ type: Int, flags: Int32 = 0, sequence: UInt32, _ payload: [UInt8]) -> [UInt8] {
    littleEndian(UInt32(payload.count + 16)) + littleEndian(UInt16(type)) + littleEndian(UInt16(flags))
        + littleEndian(sequence) + littleEndian(UInt32(0)) + payload
        + [UInt8](repeating: 0, count: (4 - payload.count % 4) % 4)
}

/// NLMSG_ERROR: an acknowledgement, or a refusal with the kernel's words.
func acknowledgement(_ request: ScriptedPeer.Request, errno: Int32 = 0, text: String? = nil, capped: Bool = true)
    -> [UInt8]
{
    var payload = littleEndian(-errno) + (capped ? Array(request.bytes.prefix(16)) : request.bytes)
    var flags = capped ? NLM_F_CAPPED : 0
    if let text {
        flags |= NLM_F_ACK_TLVS
        payload += attribute(1, Array(text.utf8) + [0])
    }
    return netlinkMessage(Int(NLMSG_ERROR), flags: flags, sequence: request.sequence, payload)
}

func done(_ request: ScriptedPeer.Request, errno: Int32 = 0, flags: Int32 = 0, text: String? = nil) -> [UInt8] {
    let words = text.map { attribute(1, Array($0.utf8) + [0]) } ?? []
    return netlinkMessage(
        Int(NLMSG_DONE), flags: flags | NLM_F_MULTI | (text == nil ? 0 : NLM_F_ACK_TLVS), sequence: request.sequence,
        littleEndian(-errno) + words)
}
