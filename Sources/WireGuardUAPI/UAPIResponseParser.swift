import Glibc
import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// The answer to one request.
public struct UAPIResponse: Equatable, Sendable {
    /// Nil for `errno=0`. Positive, whatever sign the engine wrote.
    public var errno: Errno?
    /// What a get told; empty after a set.
    public var device: DeviceStatus

    public init(errno: Errno?, device: DeviceStatus) {
        self.errno = errno
        self.device = device
    }
}

/// An answer that is none.
public struct UAPIResponseError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Counted from 1.
    public let line: Int
    /// What was expected there; never a value.
    public let expected: String

    public var description: String { "the engine's answer is malformed in line \(line): expected \(expected)" }
}

/// One response out of the bytes of a UAPI connection, in pieces of any size. Used by Tunnels' client; keys that
/// a foreign engine reports go straight into their slots. Keys that it does not know are skipped, as wg(8) does.
public struct UAPIResponseParser: ~Copyable {
    private var splitter: LineSplitter
    private let totalBytes: Int
    private var byteCount = 0
    private var lineNumber = 0
    private var answer = Answer()

    public init(limits: UAPILimits = UAPILimits()) {
        splitter = LineSplitter(maximumLineBytes: limits.lineBytes)
        totalBytes = limits.totalBytes
    }

    /// The response once its empty line has come, else nil: feed more. Feed one response only.
    public mutating func feed(_ chunk: UnsafeRawBufferPointer) throws(UAPIResponseError) -> UAPIResponse? {
        var position = 0
        byteCount += chunk.count
        guard byteCount <= totalBytes else { throw expected("at most \(totalBytes) bytes") }
        while position < chunk.count {
            switch splitter.next(in: chunk, from: &position) {
            case .more: return nil
            case .tooLong: throw expected("a shorter line")
            case .line(let line):
                lineNumber += 1
                if !line.isEmpty {
                    try handle(line)
                    continue
                }
                guard let response = answer.finish() else { throw expected("errno= before the empty line") }
                return response
            }
        }
        return nil
    }

    private func expected(_ what: String) -> UAPIResponseError { UAPIResponseError(line: lineNumber, expected: what) }

    private mutating func handle(_ line: UnsafeRawBufferPointer) throws(UAPIResponseError) {
        guard let equals = line.offset(of: UInt8(ascii: "=")) else { throw expected("key=value") }
        guard let field = UAPIField(UnsafeRawBufferPointer(rebasing: line[..<equals])) else { return }
        let value = UAPIValue(text: UnsafeRawBufferPointer(rebasing: line[(equals + 1)...]))
        do throws(UAPIRefusal) {
            try answer.set(field, value)
        } catch {
            throw expected("a value that fits \(field)")
        }
    }
}

/// The lines of one response so far. Copyable for the reason that `SetRequest` is.
private struct Answer {
    private var errno: Errno?
    private var hasErrno = false
    private var device = DeviceConfiguration()
    private var statuses: [PublicKey: PeerStatus] = [:]
    private var peer: PeerConfiguration?
    private var status = PeerStatus(receivedBytes: 0, sentBytes: 0)

    /// Nil before `errno=` came.
    mutating func finish() -> UAPIResponse? {
        guard hasErrno else { return nil }
        finishPeer()
        return UAPIResponse(errno: errno, device: DeviceStatus(configuration: device, peers: statuses))
    }

    private mutating func finishPeer() {
        guard let finished = peer else { return }
        if status.lastHandshake == WallTime(seconds: 0, nanoseconds: 0) { status.lastHandshake = nil }
        device.peers.append(finished)
        statuses[finished.publicKey] = status
        peer = nil
        status = PeerStatus(receivedBytes: 0, sentBytes: 0)
    }

    mutating func set(_ field: UAPIField, _ value: UAPIValue) throws(UAPIRefusal) {
        switch field {
        case .privateKey: device.privateKey = try value.privateKey().key
        case .listenPort: device.listenPort = try value.number()
        case .firewallMark: device.firewallMark = try value.number()
        case .publicKey:
            finishPeer()
            peer = PeerConfiguration(publicKey: try value.publicKey())
        case .presharedKey: peer?.presharedKey = try value.presharedKey().key
        case .endpoint: peer?.endpoint = try value.endpoint { _ in nil }
        case .persistentKeepaliveInterval: peer?.persistentKeepaliveSeconds = try value.number()
        case .allowedIP: peer?.allowedIPs.append(try value.prefix())
        case .lastHandshakeSeconds:
            let seconds = Int64(clamping: try value.number(UInt64.self))
            status.lastHandshake = WallTime(seconds: seconds, nanoseconds: status.lastHandshake?.nanoseconds ?? 0)
        case .lastHandshakeNanoseconds:
            let nanoseconds: UInt32 = try value.number()
            status.lastHandshake = WallTime(seconds: status.lastHandshake?.seconds ?? 0, nanoseconds: nanoseconds)
        case .receivedBytes: status.receivedBytes = try value.number()
        case .sentBytes: status.sentBytes = try value.number()
        case .errno: try setErrno(value)
        case .protocolVersion, .replacePeers, .replaceAllowedIPs, .remove, .updateOnly: break
        }
    }

    private mutating func setErrno(_ value: UAPIValue) throws(UAPIRefusal) {
        let isNegative = value.text.first == UInt8(ascii: "-")
        let digits = UAPIValue(text: UnsafeRawBufferPointer(rebasing: value.text[(isNegative ? 1 : 0)...]))
        let number: UInt16 = try digits.number()
        errno = number == 0 ? nil : Errno(Int32(number))
        hasErrno = true
    }
}
