import Glibc
import LinuxSystem

/// What monitor and worker say to each other: records of one fixed size, so that neither has to parse.
struct MonitorRecord {
    enum Kind: UInt32 {
        // Worker to monitor:
        /// Open UDP sockets: `first` is the port (0: any), `second` the mark.
        case openSockets = 1
        /// The old pair is not used any more: `first` is the serial of the new one.
        case socketsTaken
        /// The interface is down: no socket is wanted.
        case closeSockets
        /// The worker serves; the first configuration was accepted. `first` is 1 when memory of keys is not locked.
        case ready
        /// The first configuration was refused: `first` is the errno.
        case refused
        /// A UAPI request begins, which means `first` lines of work; or has been answered.
        case requestBegins
        case requestEnds
        /// The last TAI64N sent under the private key that `hash` names: label and nanoseconds.
        case timestampSent
        /// The private key changed; `hash` names the new one (`PrivateKey.floorName`). Answered by `timestampFloor`.
        case keyChanged
        /// The index of the interface whose name stands in `hash`. Answered by the same kind, 0 for none.
        case interfaceIndex

        // Monitor to worker; answers have the `hash` of their question:
        /// `first` is 0 or an errno, `second` the port; the descriptors come along, `third` says for which family.
        case sockets = 32
        /// `first` is the MTU, 0 when unknown, `second` 1 when up.
        case link
        /// A route or an address of the birthplace changed (`RouteChange.words`): sticky sources may be wrong.
        case routes
        /// The machine is a copy of another: its keys may be in use twice (S8).
        case machineCopied
        /// The greatest timestamp ever sent under the key.
        case timestampFloor
    }

    static let ipv4Flag: UInt64 = 1
    static let ipv6Flag: UInt64 = 2

    var kind: UInt32
    var serial: UInt32 = 0
    var first: UInt64 = 0
    var second: UInt64 = 0
    var third: UInt64 = 0
    /// What a private key's timestamps are kept under, an interface's name, or the number of a question.
    var hash = InlineArray<4, UInt64>(repeating: 0)

    init(_ kind: Kind, first: UInt64 = 0, second: UInt64 = 0, third: UInt64 = 0, serial: UInt32 = 0) {
        self.kind = kind.rawValue
        self.first = first
        self.second = second
        self.third = third
        self.serial = serial
    }

    static let byteCount = MemoryLayout<MonitorRecord>.size
}

extension DescriptorChannel {
    /// False when the other side's queue is full. Throws EPIPE when it is gone.
    @discardableResult
    borrowing func send(_ record: MonitorRecord, descriptors: [Int32] = []) throws(SystemError) -> Bool {
        var record = record
        return try withUnsafeBytes(of: &record) { (bytes) throws(SystemError) in
            try send(bytes, descriptors: descriptors)
        }
    }

    enum Received {
        case nothing
        case ended
        case record(MonitorRecord)
    }

    /// A message of another size is ignored and its descriptors are closed.
    borrowing func receiveRecord(descriptors: inout [Int32]) throws(SystemError) -> Received {
        var record = MonitorRecord(.ready)
        let count = try withUnsafeMutableBytes(of: &record) { (bytes) throws(SystemError) in
            try receive(into: bytes, descriptors: &descriptors)
        }
        guard let count else { return .nothing }
        if count == 0 { return .ended }
        guard count == MonitorRecord.byteCount else {
            for number in descriptors { close(number) }
            return .nothing
        }
        return .record(record)
    }
}
