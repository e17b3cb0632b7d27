/// Events by time, and by order of arrival where times are equal: a binary heap.
struct EventQueue<Event> {
    private struct Entry {
        var time: UInt64
        var order: Int
        var event: Event

        func isBefore(_ other: Entry) -> Bool { time != other.time ? time < other.time : order < other.order }
    }

    private var entries: [Entry] = []
    private var order = 0

    mutating func push(_ time: UInt64, _ event: Event) {
        order += 1
        entries.append(Entry(time: time, order: order, event: event))
        var index = entries.count - 1
        while index > 0, entries[index].isBefore(entries[(index - 1) / 2]) {
            entries.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func pop(before end: UInt64) -> (time: UInt64, event: Event)? {
        guard let first = entries.first, first.time < end else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            var index = 0
            while true {
                var least = index
                for child in [2 * index + 1, 2 * index + 2] where child < entries.count {
                    if entries[child].isBefore(entries[least]) { least = child }
                }
                if least == index { break }
                entries.swapAt(index, least)
                index = least
            }
        }
        return (first.time, first.event)
    }
}
