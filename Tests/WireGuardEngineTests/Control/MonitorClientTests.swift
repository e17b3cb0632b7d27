import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

/// The worker's end of the channel, beside a monitor that is played by the test and reads late.
@Suite struct MonitorClientTests {
    /// The monitor's end.
    private final class Played: @unchecked Sendable {
        let channel: DescriptorChannel

        init(_ number: Int32) { channel = DescriptorChannel(owning: FileDescriptor(owning: number)) }

        /// The next record; nil when none comes within two seconds.
        func hear(milliseconds: Int32 = 2000) -> MonitorRecord? {
            guard (try? waitReadable(channel.descriptor.rawValue, milliseconds: milliseconds)) == true else {
                return nil
            }
            var descriptors: [Int32] = []
            guard case .record(let record)? = try? channel.receiveRecord(descriptors: &descriptors) else { return nil }
            return record
        }

        func hearAll() -> [MonitorRecord] {
            var records: [MonitorRecord] = []
            while let record = hear(milliseconds: 0) { records.append(record) }
            return records
        }

        func say(_ record: MonitorRecord, to question: MonitorRecord? = nil, descriptors: [Int32] = []) {
            var record = record
            if let question { record.hash = question.hash }
            _ = try? channel.send(record, descriptors: descriptors)
        }
    }

    private static func pair() throws -> (MonitorClient, Played) {
        let (ours, theirs) = try DescriptorChannel.makePair()
        return (MonitorClient(DescriptorChannel(owning: FileDescriptor(owning: ours))), Played(theirs))
    }

    /// Until nothing more fits. Each counts as another kind, so that none takes another's place.
    private func fill(_ client: MonitorClient) -> Int {
        var count = 0
        while !client.owesNews {
            var record = MonitorRecord(.timestampSent, first: UInt64(count))
            record.hash[0] = UInt64(count)
            client.tell(record)
            count += 1
        }
        return count
    }

    @Test func `what the monitor's queue has no room for is told later, in order, and of each kind the last`() throws {
        let (client, monitor) = try MonitorClientTests.pair()
        let count = fill(client)
        client.tell(MonitorRecord(.requestBegins, first: 1))
        client.tell(MonitorRecord(.socketsTaken, serial: 4))
        client.tell(MonitorRecord(.requestEnds))
        client.tell(MonitorRecord(.requestBegins, first: 2))
        client.tell(MonitorRecord(.socketsTaken, serial: 5))
        client.tell(MonitorRecord(.requestEnds))
        #expect(client.owesNews)
        let before = monitor.hearAll()
        #expect(before.map(\.first) == (0..<UInt64(count - 1)).map { $0 })
        client.tellOwed()
        #expect(!client.owesNews)
        let after = monitor.hearAll()
        #expect(
            after.map(\.kind)
                == [.timestampSent, .requestBegins, .socketsTaken, .requestEnds].map { (kind: MonitorRecord.Kind) in
                    kind.rawValue
                })
        #expect(after[0].first == UInt64(count - 1) && after[1].first == 2 && after[2].serial == 5)
    }

    @Test func `room is seen by epoll, so that a lost record needs no other to be repeated`() throws {
        let (client, monitor) = try MonitorClientTests.pair()
        _ = fill(client)
        let poll = try EventPoll()
        try poll.add(client.descriptor, [.readable, .writable], token: 1)
        var events = 0
        try poll.wait(timeoutMilliseconds: 0) { _ in events += 1 }
        #expect(events == 0)
        _ = monitor.hearAll()
        try poll.wait(timeoutMilliseconds: 1000) { _ in events += 1 }
        #expect(events == 1)
    }

    @Test func `a question that does not fit waits for room, behind what was said before it`() throws {
        let (client, monitor) = try MonitorClientTests.pair()
        let count = fill(client)
        try WorkerThread.start("test-monitor") {
            usleep(50_000)
            var heard = 0
            while let record = monitor.hear() {
                heard += 1
                if record.kind == MonitorRecord.Kind.keyChanged.rawValue {
                    monitor.say(MonitorRecord(.timestampFloor, first: UInt64(heard), second: 3), to: record)
                    return
                }
            }
        }
        var name = InlineArray<4, UInt64>(repeating: 9)
        name[1] = 8
        let answer = try client.timestampFloor(name)
        #expect(answer.label == UInt64(count + 1) && answer.nanoseconds == 3)
    }

    @Test func `an answer to an earlier question is not taken for this one's, and news in between are kept`() throws {
        let (client, monitor) = try MonitorClientTests.pair()
        let pipe = try Pipe()
        let number = pipe.writeEnd.rawValue
        try WorkerThread.start("test-monitor") {
            guard let question = monitor.hear() else { return }
            // Of before: with another number, another port, and descriptors of its own.
            var late = question
            late.hash[0] &-= 1
            monitor.say(
                MonitorRecord(.sockets, second: 1000, third: 1, serial: 1), to: late, descriptors: [number])
            monitor.say(MonitorRecord(.link, first: 1300, second: 1))
            monitor.say(
                MonitorRecord(.sockets, second: 2000, third: 3, serial: 2), to: question, descriptors: [number, number])
        }
        let sockets = try client.openSockets(port: 2000, mark: 0)
        #expect(sockets.port == 2000 && sockets.serial == 2 && sockets.ipv4 >= 0 && sockets.ipv6 >= 0)
        close(sockets.ipv4)
        close(sockets.ipv6)
        #expect(client.hasNotices)
        let notices = try client.takeNotices()
        #expect(notices.contains { $0.kind == MonitorRecord.Kind.link.rawValue && $0.first == 1300 })
        #expect(!client.hasNotices)
        // Ours is the only descriptor left.
        let reader = pipe.takeReadEnd()
        let isOver = try waitReadable(reader.rawValue, milliseconds: 0)
        #expect(isOver)
    }

    @Test func `a refusal is the monitor's errno; descriptors that do not fit the answer are closed`() throws {
        let (client, monitor) = try MonitorClientTests.pair()
        let pipe = try Pipe()
        let number = pipe.writeEnd.rawValue
        try WorkerThread.start("test-monitor") {
            if let question = monitor.hear() {
                monitor.say(MonitorRecord(.sockets, first: UInt64(EADDRINUSE)), to: question)
            }
            if let question = monitor.hear() {
                monitor.say(MonitorRecord(.sockets, second: 5, third: 3), to: question, descriptors: [number])
            }
        }
        var errors: [Int32] = []
        for _ in 0..<2 {
            do throws(SystemError) { _ = try client.openSockets(port: 5, mark: 0) } catch {
                errors.append(error.errno.rawValue)
            }
        }
        #expect(errors == [EADDRINUSE, EIO])
        let reader = pipe.takeReadEnd()
        let isOver = try waitReadable(reader.rawValue, milliseconds: 0)
        #expect(isOver)
    }

    @Test func `an interface is asked for by its name; none, and a name that cannot be one, is nil`() throws {
        let (client, monitor) = try MonitorClientTests.pair()
        try WorkerThread.start("test-monitor") {
            while var question = monitor.hear() {
                let name = withUnsafeBytes(of: &question.hash) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                monitor.say(MonitorRecord(.interfaceIndex, first: name == "fifteen-bytes-x" ? 7 : 0), to: question)
            }
        }
        #expect(client.interfaceIndex("fifteen-bytes-x") == 7)
        #expect(client.interfaceIndex("wg0") == nil)
        #expect(client.interfaceIndex("") == nil && client.interfaceIndex("sixteen-bytes-xx") == nil)
    }

    @Test func `a monitor that is gone is noticed by reading, and by a question`() throws {
        let (ours, theirs) = try DescriptorChannel.makePair()
        let client = MonitorClient(DescriptorChannel(owning: FileDescriptor(owning: ours)))
        close(theirs)
        client.tell(MonitorRecord(.ready))
        #expect(!client.owesNews)
        var errors: [Int32] = []
        do throws(SystemError) { _ = try client.takeNotices() } catch { errors.append(error.errno.rawValue) }
        do throws(SystemError) { _ = try client.openSockets(port: 0, mark: 0) } catch {
            errors.append(error.errno.rawValue)
        }
        #expect(errors == [EPIPE, EPIPE])
    }
}
