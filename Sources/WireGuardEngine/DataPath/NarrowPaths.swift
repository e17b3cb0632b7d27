import LinuxSystem

/// Paths that refused a train, each believed for a minute (D15). Sixteen at most: more narrow paths than that cost a
/// refused sendmsg each now and then, nothing else. One sender's; nothing is allocated after `init`.
struct NarrowPaths: ~Copyable {
    static var capacity: Int { 16 }
    static var nanoseconds: UInt64 { 60_000_000_000 }

    private struct Entry {
        var path: DatagramPath
        var until: BootTime
    }

    private let entries: UnsafeMutablePointer<Entry>
    private var count = 0

    init() { entries = .allocate(capacity: Self.capacity) }

    deinit { entries.deallocate() }

    var isEmpty: Bool { count == 0 }

    /// Whether the path to this remote has refused a train in the last minute. One whose minute is over is forgotten.
    mutating func contains(_ path: DatagramPath, now: BootTime) -> Bool {
        guard let index = index(of: path) else { return false }
        if now < entries[index].until { return true }
        count &-= 1
        entries[index] = entries[count]
        return false
    }

    /// For a minute from now; when there is no room, instead of the one that is believed shortest.
    mutating func insert(_ path: DatagramPath, now: BootTime) {
        let entry = Entry(path: path, until: now.advanced(byNanoseconds: Self.nanoseconds))
        if let known = index(of: path) {
            entries[known] = entry
        } else if count < Self.capacity {
            entries[count] = entry
            count &+= 1
        } else {
            var oldest = 0
            for index in 1..<count where entries[index].until < entries[oldest].until { oldest = index }
            entries[oldest] = entry
        }
    }

    mutating func removeAll() { count = 0 }

    private func index(of path: DatagramPath) -> Int? {
        var index = 0
        while index < count {
            if entries[index].path.hasSameRemote(as: path) { return index }
            index &+= 1
        }
        return nil
    }
}
