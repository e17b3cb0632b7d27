import Glibc
import LinuxSystem

/// The monitor's side of the channel to one worker, which may be dead, stopped, busy, or lie.
///
/// Nothing that the worker does ends the monitor or holds it up: no send waits or throws. A queue is full when the
/// worker is stopped, or takes long over a request. An answer may be lost then, since who waits for one reads all the
/// time. News may not, because nobody asks for them: what did not fit is owed, and told as soon as there is room. Owed
/// is only how things are then: the interface's state of that moment, and of any number of routes that some changed.
struct WorkerChannel: ~Copyable {
    /// Records taken in one go: a worker that never stops talking shares the monitor with everybody else.
    static let receiveSlice = 64

    private let channel: DescriptorChannel
    private var link: MonitorRecord?
    private var owed: News = []
    private var owedAnswer: MonitorRecord?
    /// Copies of the descriptors that go with it: the originals may be closed before.
    private var owedDescriptors: [Int32] = []

    private struct News: OptionSet {
        let rawValue: UInt8
        static let link = News(rawValue: 1)
        static let routes = News(rawValue: 2)
        static let machineCopied = News(rawValue: 4)
    }

    init(_ channel: consuming DescriptorChannel) { self.channel = channel }

    var descriptor: Int32 { channel.descriptor.rawValue }

    deinit { for number in owedDescriptors { close(number) } }

    /// Something waits for room: to be watched for being writable.
    var owesNews: Bool { owedAnswer != nil || !owed.isEmpty }

    /// The answer to a question, and descriptors that stay the caller's.
    mutating func answer(_ record: MonitorRecord, descriptors: [Int32] = []) {
        forgetAnswer()
        if WorkerChannel.canSend(record, channel, descriptors) { return }
        var copies: [Int32] = []
        for number in descriptors {
            guard let copy = try? FileDescriptor.duplicating(number) else { break }
            copies.append(copy.release())
        }
        owedDescriptors = copies
        owedAnswer = record
    }

    private mutating func forgetAnswer() {
        owedAnswer = nil
        for number in owedDescriptors { close(number) }
        owedDescriptors = []
    }

    mutating func tellLink(_ state: LinkWatch.State) {
        link = MonitorRecord(.link, first: UInt64(state.mtu), second: state.isUp ? 1 : 0)
        owed.insert(.link)
        tellOwed()
    }

    mutating func tellRoutes(_ changes: [RouteChange]) {
        for change in changes where !owed.contains(.routes) {
            if !WorkerChannel.canSend(change.record, channel) { owed.insert(.routes) }
        }
    }

    mutating func tellMachineCopied() {
        owed.insert(.machineCopied)
        tellOwed()
    }

    /// The worker has made room, or is gone: to that one nothing is owed.
    mutating func tellOwed() {
        if let owedAnswer, WorkerChannel.canSend(owedAnswer, channel, owedDescriptors) { forgetAnswer() }
        if owed.contains(.link), let link, WorkerChannel.canSend(link, channel) { owed.remove(.link) }
        if owed.contains(.routes), WorkerChannel.canSend(RouteChange.unknown.record, channel) { owed.remove(.routes) }
        if owed.contains(.machineCopied), WorkerChannel.canSend(MonitorRecord(.machineCopied), channel) {
            owed.remove(.machineCopied)
        }
    }

    /// False when there is no room now.
    private static func canSend(
        _ record: MonitorRecord, _ channel: borrowing DescriptorChannel, _ descriptors: [Int32] = []
    ) -> Bool {
        (try? channel.send(record, descriptors: descriptors)) ?? true
    }

    /// The next record. An error of the channel is its end, too: nothing is left to be said over it.
    borrowing func receive() -> DescriptorChannel.Received {
        var descriptors: [Int32] = []
        guard let received = try? channel.receiveRecord(descriptors: &descriptors) else { return .ended }
        // The worker has none to give.
        if case .record = received { for number in descriptors { close(number) } }
        return received
    }
}

extension RouteChange {
    fileprivate var record: MonitorRecord {
        let (first, second, third) = words
        return MonitorRecord(.routes, first: first, second: second, third: third)
    }
}
