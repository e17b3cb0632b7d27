import Glibc
import LinuxSystem

/// The worker's side of its channel to the monitor. Control only.
///
/// Requests wait for their answer: the monitor is one short loop and answers at once, unless it waits for the kernel's
/// lock of network configuration. Notices that come in between are kept for the loop. What the monitor is told is not
/// lost when its queue is full meanwhile: it is owed, in its order, and told as soon as there is room.
final class MonitorClient {
    private let channel: DescriptorChannel
    private var notices: [MonitorRecord] = []
    /// Of each kind, and each key, the last one: a port that was taken before another, or the end of an earlier
    /// request, says nothing more.
    private var owed: [MonitorRecord] = []
    /// Numbers those that have no hash to be told by.
    private var questions: UInt64 = 0
    private static let patienceMilliseconds: Int32 = 10_000

    init(_ channel: consuming DescriptorChannel) { self.channel = channel }

    var descriptor: Int32 { channel.descriptor.rawValue }

    /// Notices came while an answer was waited for: no event will tell of them.
    var hasNotices: Bool { !notices.isEmpty }

    /// Something waits for room: to be watched for being writable.
    var owesNews: Bool { !owed.isEmpty }

    struct Sockets {
        var ipv4: Int32
        var ipv6: Int32
        var port: UInt16
        var serial: UInt32
    }

    /// UDP sockets on `port` (0: any) with `mark`; throws what the monitor's bind said.
    func openSockets(port: UInt16, mark: UInt32) throws(SystemError) -> Sockets {
        var descriptors: [Int32] = []
        var request = MonitorRecord(.openSockets, first: UInt64(port), second: UInt64(mark))
        questions += 1
        request.hash[0] = questions
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

    /// A notice that wants no answer.
    func tell(_ record: MonitorRecord) {
        owed.removeAll { $0.isReplaced(by: record) }
        owed.append(record)
        tellOwed()
    }

    /// The monitor may have made room. To one that is gone nothing is owed: its end is heard by reading.
    func tellOwed() {
        while let record = owed.first, (try? channel.send(record)) ?? true { owed.removeFirst() }
    }

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

    /// The answer names the question: one that comes after its time was over is not taken for another's.
    private func ask(
        _ request: MonitorRecord, for kind: MonitorRecord.Kind, descriptors: inout [Int32]
    ) throws(SystemError) -> MonitorRecord {
        let deadline = BootTime.now.advanced(byNanoseconds: UInt64(MonitorClient.patienceMilliseconds) * 1_000_000)
        try put(request, until: deadline)
        while true {
            try wait(until: deadline) { milliseconds throws(SystemError) in
                try waitReadable(descriptor, milliseconds: milliseconds)
            }
            guard let record = try receive(&descriptors) else { continue }
            if record.kind == kind.rawValue, record.hasSameHash(as: request) { return record }
            for number in descriptors { close(number) }
            notices.append(record)
        }
    }

    /// Behind what the monitor has not heard yet.
    private func put(_ request: MonitorRecord, until deadline: BootTime) throws(SystemError) {
        owed.append(request)
        tellOwed()
        do throws(SystemError) {
            while owesNews {
                try wait(until: deadline) { milliseconds throws(SystemError) in
                    try waitWritable(descriptor, milliseconds: milliseconds)
                }
                tellOwed()
            }
        } catch {
            owed.removeAll { $0.isReplaced(by: request) }
            throw error
        }
    }

    /// Throws ETIMEDOUT when the monitor has been silent for too long.
    private func wait(
        until deadline: BootTime, _ body: (Int32) throws(SystemError) -> Bool
    ) throws(SystemError) {
        let left = Int32(clamping: (deadline.since(.now) + 999_999) / 1_000_000)
        guard try body(left) else {
            throw SystemError(call: "recvmsg", object: "monitor", errno: Errno(ETIMEDOUT))
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

extension MonitorRecord {
    /// `later` makes it pointless to tell this one.
    fileprivate func isReplaced(by later: MonitorRecord) -> Bool { kind == later.kind && hasSameHash(as: later) }

    fileprivate func hasSameHash(as other: MonitorRecord) -> Bool {
        hash.indices.allSatisfy { hash[$0] == other.hash[$0] }
    }
}
