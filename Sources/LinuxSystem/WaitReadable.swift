import Glibc

/// poll(2) on one descriptor for input, error or hang-up; false on time-out. Negative waits for ever.
public func waitReadable(_ number: Int32, milliseconds: Int32) throws(SystemError) -> Bool {
    try wait(number, for: POLLIN, milliseconds: milliseconds)
}

/// poll(2) on one descriptor for room to write, error or hang-up; false on time-out. Negative waits for ever.
public func waitWritable(_ number: Int32, milliseconds: Int32) throws(SystemError) -> Bool {
    try wait(number, for: POLLOUT, milliseconds: milliseconds)
}

private func wait(_ number: Int32, for events: Int32, milliseconds: Int32) throws(SystemError) -> Bool {
    let deadline = BootTime.now.advanced(byNanoseconds: UInt64(max(milliseconds, 0)) * 1_000_000)
    while true {
        var remaining = milliseconds
        if milliseconds >= 0 {
            remaining = Int32(clamping: (deadline.since(BootTime.now) + 999_999) / 1_000_000)
        }
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        let count = poll(&entry, 1, remaining)
        if count > 0 { return true }
        if count == 0 { return false }
        if Glibc.errno != EINTR { throw SystemError(call: "poll", errno: .current) }
    }
}
