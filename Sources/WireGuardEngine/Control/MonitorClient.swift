import Glibc
import LinuxSystem

/// The worker's side of its channel to the monitor. Control only.
///
/// Requests wait for their answer: the monitor is one short loop and answers at once. Notices that come in between
/// are kept for the loop.
final class MonitorClient {
    private let channel: DescriptorChannel
    private var notices: [MonitorRecord] = []
    private static let patienceMilliseconds: Int32 = 10_000

    init(_ channel: consuming DescriptorChannel) { self.channel = channel }

    var descriptor: Int32 { channel.descriptor.rawValue }

    /// Notices came while an answer was waited for: no event will tell of them.
    var hasNotices: Bool { !notices.isEmpty }

    struct Sockets {
        var ipv4: Int32
        var ipv6: Int32
        var port: UInt16
        var serial: UInt32
    }

    /// UDP sockets on `port` (0: any) with `mark`; throws what the monitor's bind said.
    func openSockets(port: UInt16, mark: UInt32) throws(SystemError) -> Sockets {
        var descriptors: [Int32] = []
        let request = MonitorRecord(.openSockets, first: UInt64(port), second: UInt64(mark))
        let answer = try ask(request, for: .sockets, descriptors: &descriptors)
        let wanted = (answer.third & MonitorRecord.ipv4Flag) + (answer.third & MonitorRecord.ipv6Flag) / 2
        guard answer.first == 0, descriptors.count == Int(wanted) else {
            for number in descriptors { close(number) }
            let errno = Errno(Int32(truncatingIfNeeded: answer.first == 0 ? UInt64(EIO) : answer.first))
            throw SystemError(call: "bind", object: "UDP port \(port)", errno: errno)
        }
        var rest = descriptors[...]
        let ipv4 = answer.third & MonitorRecord.ipv4Flag != 0 ? rest.removeFirst() : -1
        let ipv6 = answer.third & MonitorRecord.ipv6Flag != 0 ? rest.removeFirst() : -1
        return Sockets(
            ipv4: ipv4, ipv6: ipv6, port: UInt16(truncatingIfNeeded: answer.second), serial: answer.serial)
    }

    /// The greatest timestamp ever sent under the key with this hash.
    func timestampFloor(_ hash: InlineArray<4, UInt64>) throws(SystemError) -> (label: UInt64, nanoseconds: UInt32) {
        var request = MonitorRecord(.keyChanged)
        request.hash = hash
        var none: [Int32] = []
        let answer = try ask(request, for: .timestampFloor, descriptors: &none)
        return (answer.first, UInt32(truncatingIfNeeded: answer.second))
    }

    /// The index of an interface of the birthplace; nil when there is none.
    func interfaceIndex(_ name: String) -> UInt32? {
        guard (1...15).contains(name.utf8.count) else { return nil }
        var request = MonitorRecord(.interfaceIndex)
        withUnsafeMutableBytes(of: &request.hash) { $0.copyBytes(from: name.utf8) }
        var none: [Int32] = []
        guard let answer = try? ask(request, for: .interfaceIndex, descriptors: &none), answer.first > 0 else {
            return nil
        }
        return UInt32(truncatingIfNeeded: answer.first)
    }

    /// A notice that wants no answer. A full queue loses it: all of them are repeated or harmless.
    func tell(_ record: MonitorRecord) { _ = try? channel.send(record) }

    /// What the monitor has said unasked; throws EPIPE when it is gone.
    func takeNotices() throws(SystemError) -> [MonitorRecord] {
        var descriptors: [Int32] = []
        while let record = try receive(&descriptors) {
            for number in descriptors { close(number) }
            notices.append(record)
        }
        defer { notices = [] }
        return notices
    }

    private func ask(
        _ request: MonitorRecord, for kind: MonitorRecord.Kind, descriptors: inout [Int32]
    ) throws(SystemError) -> MonitorRecord {
        try channel.send(request)
        while true {
            guard try waitReadable(descriptor, milliseconds: MonitorClient.patienceMilliseconds) else {
                throw SystemError(call: "recvmsg", object: "monitor", errno: Errno(ETIMEDOUT))
            }
            guard let record = try receive(&descriptors) else { continue }
            if record.kind == kind.rawValue { return record }
            for number in descriptors { close(number) }
            notices.append(record)
        }
    }

    private func receive(_ descriptors: inout [Int32]) throws(SystemError) -> MonitorRecord? {
        switch try channel.receiveRecord(descriptors: &descriptors) {
        case .nothing: return nil
        case .ended: throw SystemError(call: "recvmsg", object: "monitor", errno: Errno(EPIPE))
        case .record(let record): return record
        }
    }
}
