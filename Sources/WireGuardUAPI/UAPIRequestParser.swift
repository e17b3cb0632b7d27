import Glibc
import LinuxSystem
import WireGuardModel

/// Requests out of the bytes of one UAPI connection.
///
/// The engine's worker feeds it whatever read(2) gave, in pieces of any size, and answers the requests that come
/// out before it feeds more (checklist U5: a get never runs into a set). It is bounded: a line or a request over
/// its limit is refused and the connection ends. It reads each byte once and allocates only what the resulting
/// `DeviceChange` holds; keys go from the line straight into their locked slots. The fed bytes stay the
/// caller's to wipe.
///
/// What can go wrong is all in the input, and nothing of a request is applied before its end was understood:
/// a refused request changes nothing.
public struct UAPIRequestParser: ~Copyable {
    private enum State {
        case operation
        /// Behind `get=1`, which only an empty line may follow.
        case endOfGet
        case set
        /// In a request that was refused already, up to its empty line.
        case skipping
        case closed
    }

    private let limits: UAPILimits
    private var splitter: LineSplitter
    private var state = State.operation
    private var requestBytes = 0
    private var request: SetRequest

    /// `interfaceIndex` gives the index of an interface that a link-local endpoint names as its scope; wg(8)
    /// writes names. Without it only numbers are understood.
    public init(limits: UAPILimits = UAPILimits(), interfaceIndex: @escaping (String) -> UInt32? = { _ in nil }) {
        self.limits = limits
        request = SetRequest(interfaceIndex: interfaceIndex)
        splitter = LineSplitter(maximumLineBytes: limits.lineBytes)
    }

    /// Whether bytes of an unfinished request are waiting for their end: a slow client (checklist U5).
    public var isInsideRequest: Bool {
        switch state {
        case .operation: splitter.isInsideLine
        case .closed: false
        case .endOfGet, .set, .skipping: true
        }
    }

    /// The requests that `chunk` completes.
    public mutating func feed(_ chunk: UnsafeRawBufferPointer) -> [UAPIRequest] {
        var requests: [UAPIRequest] = []
        var position = 0
        while position < chunk.count, state != .closed {
            // An answer must not wait for the rest of a line that is wrong by its first byte.
            if state == .endOfGet, chunk[position] != UInt8(ascii: "\n") {
                requests.append(.refused(Errno(EINVAL)))
                state = .skipping
            }
            let before = position
            switch splitter.next(in: chunk, from: &position) {
            case .line(let line):
                requestBytes += position - before
                guard requestBytes <= limits.totalBytes else { return close(&requests, Errno(E2BIG)) }
                if let request = handle(line) { requests.append(request) }
            case .more:
                requestBytes += position - before
                guard requestBytes <= limits.totalBytes else { return close(&requests, Errno(E2BIG)) }
            case .tooLong:
                return close(&requests, Errno(EPROTO))
            }
        }
        return requests
    }

    /// The stream has ended: what was begun is applied even without its empty line (checklist U5).
    public mutating func finish() -> UAPIRequest? {
        defer { state = .closed }
        var request: UAPIRequest?
        if let rest = splitter.last() { request = handle(rest) }
        switch state {
        case .set: return handle(UnsafeRawBufferPointer(start: nil, count: 0))
        case .endOfGet: return .get
        case .operation, .skipping, .closed: return request
        }
    }

    private mutating func close(_ requests: inout [UAPIRequest], _ errno: Errno) -> [UAPIRequest] {
        if state != .skipping, state != .operation { requests.append(.refused(errno)) }
        requests.append(.hangUp)
        forget()
        state = .closed
        return requests
    }

    private mutating func forget() {
        request.forget()
        requestBytes = 0
    }

    private mutating func handle(_ line: UnsafeRawBufferPointer) -> UAPIRequest? {
        switch state {
        case .operation:
            if line.equals("get=1") {
                state = .endOfGet
            } else if line.equals("set=1") {
                state = .set
            } else {
                state = .closed
                return .hangUp
            }
            return nil
        case .endOfGet:
            // Anything but an empty line was refused by its first byte.
            forget()
            state = .operation
            return .get
        case .set:
            if line.isEmpty {
                let change = request.finish()
                forget()
                state = .operation
                return .set(change)
            }
            do throws(UAPIRefusal) {
                try request.setField(line)
                return nil
            } catch {
                request.forget()
                state = .skipping
                return .refused(error.errno)
            }
        case .skipping:
            if line.isEmpty {
                forget()
                state = .operation
            }
            return nil
        case .closed:
            return nil
        }
    }
}

/// The lines of one set request so far.
///
/// Copyable on purpose: in a ~Copyable type Swift 6.3 does not release what an assignment through an optional
/// (`peer?.presharedKey = …`) replaces, and a key that is never released is never wiped.
private struct SetRequest {
    let interfaceIndex: (String) -> UInt32?
    private var change = DeviceChange()
    private var peer: PeerChange?

    init(interfaceIndex: @escaping (String) -> UInt32?) { self.interfaceIndex = interfaceIndex }

    mutating func forget() {
        change = DeviceChange()
        peer = nil
    }

    /// The request is at its end.
    mutating func finish() -> DeviceChange {
        finishPeer()
        return change
    }

    private mutating func finishPeer() {
        if let finished = peer { change.peers.append(finished) }
        peer = nil
    }

    mutating func setField(_ line: UnsafeRawBufferPointer) throws(UAPIRefusal) {
        let (name, value) = try UAPIValue.split(line)
        guard let field = UAPIField(name) else { throw .invalidValue }
        if field == .publicKey {
            finishPeer()
            peer = PeerChange(publicKey: try value.publicKey())
        } else if peer == nil {
            try setDeviceField(field, value)
        } else {
            try setPeerField(field, value)
        }
    }

    private mutating func setDeviceField(_ field: UAPIField, _ value: UAPIValue) throws(UAPIRefusal) {
        switch field {
        case .privateKey: change.privateKey = try value.privateKey()
        case .listenPort: change.listenPort = try value.number()
        case .firewallMark: change.firewallMark = try value.number()
        case .replacePeers:
            try value.requireTrue()
            change.replacePeers = true
        default: throw .invalidValue
        }
    }

    /// In place, through the optional: a peer's list of prefixes is never copied.
    private mutating func setPeerField(_ field: UAPIField, _ value: UAPIValue) throws(UAPIRefusal) {
        switch field {
        case .allowedIP: peer?.allowedIPs.append(try value.allowedIP())
        case .presharedKey: peer?.presharedKey = try value.presharedKey()
        case .endpoint: peer?.endpoint = try value.endpoint(interfaceIndex)
        case .persistentKeepaliveInterval: peer?.persistentKeepaliveSeconds = try value.number()
        case .replaceAllowedIPs:
            try value.requireTrue()
            peer?.replaceAllowedIPs = true
        case .remove:
            try value.requireTrue()
            peer?.remove = true
        case .updateOnly:
            try value.requireTrue()
            peer?.updateOnly = true
        case .protocolVersion:
            guard value.text.equals("1") else { throw .invalidValue }
        default: throw .invalidValue
        }
    }
}
