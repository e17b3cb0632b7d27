import LinuxSystem

/// A transient systemd unit around processes that we started ourselves. org.freedesktop.systemd1(5).
enum SystemdScope {
    static let systemBus = "/run/dbus/system_bus_socket"

    /// Whether systemd runs this machine. sd_booted(3).
    static var isBooted: Bool { File.exists("/run/systemd/system") }

    /// `swg-ns-NAME.scope`. Two tunnels never share one: what a unit's name may not hold of an id is escaped as
    /// systemd-escape(1) does it (`+` is `\x2b`).
    static func unit(of name: String) -> String {
        let escaped = name.utf8.map { byte -> String in
            switch byte {
            case UInt8(ascii: "+"), UInt8(ascii: "="): "\\x\(String(byte, radix: 16))"
            default: String(decoding: [byte], as: UTF8.self)
            }
        }
        return "swg-ns-\(escaped.joined()).scope"
    }

    /// Puts processes into a new scope and waits until systemd has moved them.
    ///
    /// `systemd-run --scope --unit=NAME` for processes that live already. The scope goes by itself with its
    /// last process.
    ///
    /// - Throws: systemd's refusal, or ETIMEDOUT after the deadline: a plugin must not hang on a bus.
    static func start(
        unit: String, description: String, processes: [Int32], bus: String = systemBus, milliseconds: UInt64
    ) throws {
        let deadline = BootTime.now.advanced(byNanoseconds: milliseconds * 1_000_000)
        var connection = try DBusConnection.open(path: bus, deadline: deadline)

        var match = DBusMessage.call(
            "AddMatch", on: "/org/freedesktop/DBus", of: "org.freedesktop.DBus", at: "org.freedesktop.DBus")
        match.signature = "s"
        var rule = DBusWriter()
        rule.string("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'")
        match.body = rule.bytes
        _ = try connection.call(match)

        let serial = try connection.send(request(unit: unit, description: description, processes: processes))
        // JobRemoved may overtake the reply, so both are collected.
        var job: String?
        var results: [String: String] = [:]
        while true {
            let message = try connection.next()
            var body = DBusReader(bytes: message.body)
            if message.replySerial == serial {
                if message.kind == .error {
                    throw DBusRefusal(name: message.errorName ?? "error", text: (try? body.string()) ?? "")
                }
                job = try body.string()
            } else if message.kind == .signal, message.member == "JobRemoved", message.signature == "uoss" {
                _ = try body.unsigned()
                let path = try body.string()
                _ = try body.string()
                results[path] = try body.string()
            }
            if let job, let result = results[job] {
                guard result == "done" else { throw DBusRefusal(name: "JobRemoved", text: "\(unit): \(result)") }
                return
            }
        }
    }

    /// StartTransientUnit(name, mode, properties a(sv), auxiliary units a(sa(sv))).
    static func request(unit: String, description: String, processes: [Int32]) -> DBusMessage {
        var message = DBusMessage.call(
            "StartTransientUnit", on: "/org/freedesktop/systemd1", of: "org.freedesktop.systemd1.Manager",
            at: "org.freedesktop.systemd1")
        message.signature = "ssa(sv)a(sa(sv))"
        var body = DBusWriter()
        body.string(unit)
        body.string("replace")
        body.array(elementAlignment: 8) { properties in
            func property(_ name: String, _ signature: String, _ value: (inout DBusWriter) -> Void) {
                properties.align(8)
                properties.string(name)
                properties.variant(signature, value)
            }
            property("Description", "s") { $0.string(description) }
            property("PIDs", "au") { list in
                list.array(elementAlignment: 4) { numbers in
                    for process in processes { numbers.unsigned(UInt32(bitPattern: process)) }
                }
            }
            property("CollectMode", "s") { $0.string("inactive-or-failed") }
        }
        body.array(elementAlignment: 8) { _ in }
        message.body = body.bytes
        return message
    }
}
