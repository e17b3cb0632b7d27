import CLinux
import Glibc
import LinuxSystem
import WireGuardCrypto
import WireGuardUAPI

/// One client of the UAPI socket: bytes come in, whole requests are answered, answers go out.
final class UAPIConnection {
    private let file: FileDescriptor
    private var parser: UAPIRequestParser
    /// Understood, but not answered yet: the client must first read what it has asked for before.
    private var requests: ArraySlice<UAPIRequest> = []
    private var output = SecretText()
    private var sawEnd = false
    private(set) var lastProgress = BootTime.now

    /// An answer larger than this gives its memory back.
    private static let keptBytes = 64 << 10

    init(_ file: consuming FileDescriptor, interfaceIndex: @escaping (String) -> UInt32?) {
        self.file = file
        parser = UAPIRequestParser(interfaceIndex: interfaceIndex)
    }

    var descriptor: Int32 { file.rawValue }
    var isBlockedOnWriting: Bool { !output.isEmpty }

    /// Nil for a client that neither has begun a request nor owes us reading.
    var deadline: BootTime? {
        guard parser.isInsideRequest || isBlockedOnWriting else { return nil }
        return lastProgress.advanced(byNanoseconds: UAPIServer.progressNanoseconds)
    }

    /// Reads, answers, writes as far as possible; false when the connection is over.
    ///
    /// - Parameter input: scratch memory for what is read; empty again afterwards.
    func advance(_ handler: any UAPIRequestHandler, input: inout SecretText) -> Bool {
        while true {
            guard write() else { return false }
            if isBlockedOnWriting { return true }
            if let request = requests.popFirst() {
                guard answer(request, handler) else { return false }
                continue
            }
            if sawEnd { return false }
            switch read(&input) {
            case .nothing: return true
            case .bytes: input.withBytes { requests = parser.feed($0)[...] }
            case .end:
                sawEnd = true
                if let last = parser.finish() { requests = [last] }
            case .failure: return false
            }
            input.removeAll()
        }
    }

    /// False when there is to be no answer but the end of the connection.
    private func answer(_ request: UAPIRequest, _ handler: any UAPIRequestHandler) -> Bool {
        switch request {
        case .hangUp: return false
        case .refused(let errno): output.append(uapiErrno: errno)
        case .get:
            handler.requestBegins(changing: nil)
            handler.describe(into: &output)
            output.append(uapiErrno: nil)
            handler.requestEnds()
        case .set(let change):
            handler.requestBegins(changing: change)
            output.append(uapiErrno: handler.apply(change))
            handler.requestEnds()
        }
        return true
    }

    private enum ReadResult { case nothing, bytes, end, failure }

    private func read(_ input: inout SecretText) -> ReadResult {
        let number = file.rawValue
        while true {
            let count = input.appendFilling(room: UAPIServer.readBytes) { room in
                Glibc.read(number, room.baseAddress, room.count)
            }
            if count > 0 {
                lastProgress = .now
                return .bytes
            }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            default: return .failure
            }
        }
    }

    /// False when the client is gone.
    private func write() -> Bool {
        let number = file.rawValue
        var sent = 0
        defer {
            output.removeFirst(sent)
            if output.isEmpty, sent > UAPIConnection.keptBytes { output = SecretText() }
        }
        while sent < output.count {
            let count = output.withBytes { bytes in
                send(number, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                return errno == EAGAIN
            }
            sent += count
            lastProgress = .now
        }
        return true
    }
}
