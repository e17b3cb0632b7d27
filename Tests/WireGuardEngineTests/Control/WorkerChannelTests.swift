import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

/// What the monitor's end of the channel makes of a worker that does not read, talks without end, or is gone.
@Suite struct WorkerChannelTests {
    private struct Ends: ~Copyable {
        var ours: WorkerChannel
        let theirs: DescriptorChannel

        init() throws {
            let (one, other) = try DescriptorChannel.makePair()
            ours = WorkerChannel(DescriptorChannel(owning: FileDescriptor(owning: one)))
            theirs = DescriptorChannel(owning: FileDescriptor(owning: other))
        }

        /// The worker reads again: all that waits.
        borrowing func read() throws -> [MonitorRecord] {
            var records: [MonitorRecord] = []
            var descriptors: [Int32] = []
            while case .record(let record) = try theirs.receiveRecord(descriptors: &descriptors) {
                records.append(record)
            }
            return records
        }
    }

    private func routes(_ count: Int) -> [RouteChange] {
        (0..<UInt64(count)).map { RouteChange(words: ($0, 1, UInt64(24) << 16 | 2)) }
    }

    @Test func `D12: what did not fit is told when there is room: the state of then, and that some route changed`()
        throws
    {
        var ends = try Ends()
        ends.ours.tellRoutes(routes(5000))
        let owes = ends.ours.owesNews
        #expect(owes)
        ends.ours.tellLink(LinkWatch.State(mtu: 1300, isUp: false))
        ends.ours.tellMachineCopied()
        ends.ours.tellLink(LinkWatch.State(mtu: 1400, isUp: true))
        let before = try ends.read()
        #expect(before.count < 5000 && before.allSatisfy { $0.kind == MonitorRecord.Kind.routes.rawValue })
        ends.ours.tellOwed()
        let owesStill = ends.ours.owesNews
        #expect(!owesStill)
        let after = try ends.read()
        #expect(
            after.map(\.kind) == [.link, .routes, .machineCopied].map { (kind: MonitorRecord.Kind) in kind.rawValue })
        #expect(after.first?.first == 1400 && after.first?.second == 1)
        let unknown = RouteChange(words: (after[1].first, after[1].second, after[1].third))
        #expect(unknown == .unknown)
        ends.ours.tellOwed()
        let nothing = try ends.read()
        #expect(nothing.isEmpty, "nothing is told twice")
    }

    @Test func `the last words of a worker arrive although it left an answer unread`() throws {
        let (one, other) = try DescriptorChannel.makePair()
        var ours = WorkerChannel(DescriptorChannel(owning: FileDescriptor(owning: one)))
        let theirs = DescriptorChannel(owning: FileDescriptor(owning: other))
        ours.answer(MonitorRecord(.interfaceIndex, first: 1))
        let owesAnswer = ours.owesNews
        #expect(!owesAnswer)
        try theirs.send(MonitorRecord(.timestampSent))
        try theirs.send(MonitorRecord(.refused, first: 22))
        _ = consume theirs
        var kinds: [UInt32] = []
        while case .record(let record) = ours.receive() { kinds.append(record.kind) }
        #expect(kinds == [MonitorRecord.Kind.timestampSent, .refused].map(\.rawValue))
    }

    @Test func `an answer that did not fit comes when there is room, with its descriptors, and only the last one`()
        throws
    {
        var ends = try Ends()
        ends.ours.tellRoutes(routes(5000))
        let first = try Pipe()
        let second = try Pipe()
        ends.ours.answer(MonitorRecord(.sockets, second: 1), descriptors: [first.writeEnd.rawValue])
        ends.ours.answer(
            MonitorRecord(.sockets, second: 2), descriptors: [second.writeEnd.rawValue, second.writeEnd.rawValue])
        // The monitor's own are closed before the worker reads.
        let firstReader = first.takeReadEnd()
        let secondReader = second.takeReadEnd()
        let isFirstOver = try waitReadable(firstReader.rawValue, milliseconds: 0)
        #expect(isFirstOver, "no copy of the first answer's is left")
        var records = try ends.read()
        #expect(records.allSatisfy { $0.kind == MonitorRecord.Kind.routes.rawValue })
        ends.ours.tellOwed()
        var descriptors: [Int32] = []
        guard case .record(let answer) = try ends.theirs.receiveRecord(descriptors: &descriptors) else {
            Issue.record("no answer")
            return
        }
        #expect(answer.kind == MonitorRecord.Kind.sockets.rawValue && answer.second == 2 && descriptors.count == 2)
        for number in descriptors {
            #expect(write(number, "x", 1) == 1)
            close(number)
        }
        var bytes: [UInt8] = [0, 0, 0]
        #expect(Glibc.read(secondReader.rawValue, &bytes, 3) == 2)
        let isSecondOver = try waitReadable(secondReader.rawValue, milliseconds: 0)
        #expect(isSecondOver, "no copy is left")
        records = try ends.read()
        #expect(records.map(\.kind) == [MonitorRecord.Kind.routes.rawValue])
        let owes = ends.ours.owesNews
        #expect(!owes)
    }

    @Test func `room is seen by epoll, so that nobody has to ask`() throws {
        var ends = try Ends()
        ends.ours.tellRoutes(routes(5000))
        let poll = try EventPoll()
        try poll.add(ends.ours.descriptor, [.readable, .writable], token: 1)
        var events = 0
        try poll.wait(timeoutMilliseconds: 0) { _ in events += 1 }
        #expect(events == 0)
        _ = try ends.read()
        try poll.wait(timeoutMilliseconds: 1000) { _ in events += 1 }
        #expect(events == 1)
    }

    @Test func `to a worker that is gone nothing is owed, and an answer to it is lost without harm`() throws {
        let (one, other) = try DescriptorChannel.makePair()
        var ours = WorkerChannel(DescriptorChannel(owning: FileDescriptor(owning: one)))
        close(other)
        ours.tellLink(LinkWatch.State(mtu: 1300, isUp: true))
        ours.tellRoutes(routes(3))
        ours.tellMachineCopied()
        let owes = ours.owesNews
        #expect(!owes)
        ours.answer(MonitorRecord(.timestampFloor))
        let owesAnswer = ours.owesNews
        #expect(!owesAnswer)
        guard case .ended = ours.receive() else {
            Issue.record("a channel without another side has ended")
            return
        }
    }

    @Test func `a message of no or another size is no record, and its descriptors are closed`() throws {
        let ends = try Ends()
        var odd: [UInt8] = Array(repeating: 1, count: MonitorRecord.byteCount - 1)
        let pipe = try Pipe()
        let writer = try pipe.writeEnd.duplicate()
        let reader = pipe.takeReadEnd()
        _ = try odd.withUnsafeMutableBytes {
            try ends.theirs.send(UnsafeRawBufferPointer($0), descriptors: [writer.rawValue])
        }
        guard case .nothing = ends.ours.receive() else {
            Issue.record("an odd message is nothing")
            return
        }
        var record = MonitorRecord(.ready)
        _ = try withUnsafeBytes(of: &record) {
            try ends.theirs.send($0, descriptors: [writer.rawValue, writer.rawValue])
        }
        guard case .record(let received) = ends.ours.receive() else {
            Issue.record("no record")
            return
        }
        #expect(received.kind == MonitorRecord.Kind.ready.rawValue)
        _ = consume writer
        // Every copy is closed: who reads the pipe sees its end. A child that another test has just forked holds one more
        // until it executes its program.
        let hasEnded = try waitReadable(reader.rawValue, milliseconds: 20_000)
        #expect(hasEnded)
        _ = try ends.theirs.send(UnsafeRawBufferPointer(start: nil, count: 0))
        guard case .ended = ends.ours.receive() else {
            Issue.record("a message of no bytes looks like the end, and is taken for it")
            return
        }
    }
}
