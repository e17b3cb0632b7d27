import CLinux
import Glibc
import LinuxSystem
import Tunnels

/// `attach --foreground`: a service that is the tunnel. It holds nothing of the target while it waits
/// (promise P2).
enum Foreground {
    /// Returns when the engine has ended (1) or SIGTERM, SIGINT or SIGHUP came (0); the tunnel is down then.
    ///
    /// - Parameter attach: makes the tunnel and tells of it. The signals are held back before: one that comes between
    ///   its last step and the waiting would end us, and leave the tunnel behind.
    static func serve(_ invocation: Invocation, _ attach: () throws -> AttachReport) throws -> Int32 {
        let signals = try SignalDescriptor([SIGTERM, SIGINT, SIGHUP])
        let report: AttachReport
        do {
            report = try attach()
        } catch {
            ServiceManager.notify(failure: "\(error)")
            guard try signals.next() != nil else { throw error }
            // What a signal interrupted has undone itself: that is what was asked for.
            invocation.output.error("\(error)")
            return 0
        }
        return try stay(report, invocation, signals)
    }

    private static func stay(
        _ report: AttachReport, _ invocation: Invocation, _ signals: borrowing SignalDescriptor
    ) throws -> Int32 {
        ServiceManager.notify("READY=1\nSTATUS=tunnel \(report.id) is up")
        var engine = report.engine
        var engineEnded = try wait(signals, engine)
        // `repair` ends the engine as well, to put another in its place.
        while engineEnded, let old = engine, let next = invocation.keeper.successor(of: old, in: report.id) {
            engine = next
            engineEnded = try wait(signals, engine)
        }
        ServiceManager.notify("STOPPING=1")
        if engineEnded {
            let text = "the engine of tunnel \(report.id) has ended"
            invocation.output.error(text)
            invocation.logFailure(text, of: report.id)
            ServiceManager.notify(failure: text)
        }
        let teardown = try invocation.keeper.detachWithHooks(report.id)
        invocation.log(teardown, "detach", of: report.id)
        for error in teardown.errors { invocation.output.error(error.description) }
        return engineEnded || !teardown.errors.isEmpty ? 1 : 0
    }

    private static func wait(_ signals: borrowing SignalDescriptor, _ engine: ProcessIdentity?) throws -> Bool {
        let poll = try EventPoll()
        try poll.add(signals.descriptor.rawValue, .readable, token: 0)
        if let engine {
            guard let process = try engine.open() else { return true }
            try poll.add(process.descriptor.rawValue, .readable, token: 1)
            return try waitForEvent(poll, signals)
        }
        return try waitForEvent(poll, signals)
    }

    private static func waitForEvent(
        _ poll: borrowing EventPoll, _ signals: borrowing SignalDescriptor
    ) throws -> Bool {
        while true {
            var ended: Bool?
            try poll.wait { event in ended = event.token == 1 }
            if ended == true { return true }
            if ended == false, try signals.next() != nil { return false }
        }
    }
}

/// sd_notify(3) without its library.
enum ServiceManager {
    /// What `systemctl status` shows of a unit that failed.
    static func notify(failure: String) {
        notify("STATUS=" + failure.split(separator: "\n").joined(separator: "; "))
    }

    static func notify(_ text: String) {
        guard let name = getenv("NOTIFY_SOCKET") else { return }
        let path = String(cString: name)
        guard let socket = try? UnixSocket.open(SOCK_DGRAM) else { return }
        // An abstract name is given with "@".
        let address = path.hasPrefix("@") ? "\0\(path.dropFirst())" : path
        guard (try? UnixSocket.connect(socket, to: address)) != nil else { return }
        try? socket.writeAll(text, object: "NOTIFY_SOCKET")
    }
}
