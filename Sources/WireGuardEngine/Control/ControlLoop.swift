import CLinux
import Glibc
import LinuxSystem
import Synchronization
import WireGuardCrypto
import WireGuardModel
import WireGuardUAPI

/// The control thread: handshakes, timers, and the UAPI, in small slices at a lower priority (DESIGN §5).
///
/// The only one who touches `Device`. Asleep in epoll until something is due: a message of the ring or mail of a
/// loop (eventfd), a timer (one timerfd on the boot clock, armed for the earliest deadline of all), a UAPI client,
/// a record of the monitor. The data path never waits for anything here.
final class ControlLoop {
    private enum Token: UInt64 {
        case wake, timer, monitor, listener
    }
    private static let firstClientToken: UInt64 = 16
    /// Handshakes between two looks at everything else: 16 cost some three milliseconds.
    private static let handshakeSlice = 16

    private let device: Device
    private let monitor: MonitorClient
    private let places: SocketPlaces
    private let wake: EventCounter
    private let wakeTransmit: Int32
    private let listener: Int32
    private let poll: EventPoll
    private let timer: TimerDescriptor
    private let server: UAPIServer
    private let shared: SharedState
    private let log: EngineLog
    private var sender: DatagramSender
    private var journal: ConfigurationJournal
    private var clocks = ClockWatch()
    /// Peers and allowed IPs of all requests since one replaced them all: at least what the device has.
    private var describedLines = 0
    private var boot: BootIdentity?
    private var socketsAreOpen = false
    /// As the monitor has said last.
    private var linkIsUp = false
    private var armed: BootTime?
    private var waitsForRoom = false
    private var reportedTimestamp = TAI64N.zero
    private var keyHash = InlineArray<4, UInt64>(repeating: 0)

    init(
        device: Device, monitor: MonitorClient, places: consuming SocketPlaces, wake: consuming EventCounter,
        wakeTransmit: Int32, listener: Int32, shared: consuming SharedState, journal: consuming ConfigurationJournal,
        boot: consuming BootIdentity?, log: EngineLog
    ) throws(SystemError) {
        let poll = try EventPoll()
        self.device = device
        self.monitor = monitor
        sender = DatagramSender(ipv4: places.ipv4, ipv6: places.ipv6)
        self.places = places
        self.wakeTransmit = wakeTransmit
        self.listener = listener
        self.shared = shared
        self.journal = journal
        self.log = log
        self.boot = boot
        timer = try TimerDescriptor()
        server = UAPIServer(
            listener: listener, poll: poll.descriptor.rawValue, firstToken: ControlLoop.firstClientToken,
            interfaceIndex: { monitor.interfaceIndex($0) })
        try poll.add(wake.descriptor.rawValue, .readable, token: Token.wake.rawValue)
        try poll.add(timer.descriptor.rawValue, .readable, token: Token.timer.rawValue)
        try poll.add(monitor.descriptor, .readable, token: Token.monitor.rawValue)
        self.wake = wake
        self.poll = poll
        let handshakes = HandshakeLog(log)
        device.observe = { _, event in handshakes.note(event) }
    }

    // MARK: the beginning

    /// Applies what earlier workers, or whoever started the engine, have left; nil, or why it is refused.
    func restore() -> Errno? {
        var refusal: Errno?
        var changes: [DeviceChange] = []
        let monitor = monitor
        journal.replay { text in
            var parser = UAPIRequestParser(interfaceIndex: { monitor.interfaceIndex($0) })
            var requests = parser.feed(text)
            if let last = parser.finish() { requests.append(last) }
            for request in requests {
                switch request {
                case .set(let change): changes.append(change)
                case .refused(let errno): refusal = refusal ?? errno
                case .hangUp: refusal = refusal ?? Errno(EPROTO)
                case .get: break
                }
            }
        }
        if let refusal { return refusal }
        for change in changes {
            countLines(of: change)
            if let errno = applyToDevice(change) { return errno }
        }
        return nil
    }

    /// After `restore`: earlier sessions are taken up again once the interface is known to be up.
    func finishRestore() {
        device.finishRestore(at: .now)
        afterWork()
    }

    /// Takes the port before the interface is up: whoever starts the engine hears at once that it is taken. A later
    /// worker without it serves all the same, or nobody could give the device another.
    func takeFirstPort() -> Errno? {
        let refusal = takePort()
        return portOfBefore == 0 ? refusal : nil
    }

    /// What an earlier worker had bound; 0 for none. A random port stays.
    private var portOfBefore: UInt16 {
        UInt16(truncatingIfNeeded: shared.facts.pointee.port.load(ordering: .relaxed))
    }

    private func takePort() -> Errno? {
        if socketsAreOpen { return nil }
        let port = device.listenPort != 0 ? device.listenPort : portOfBefore
        return openSockets(port: port, mark: device.firewallMark)
    }

    /// A device whose port was taken while the interface came up stays down: another port, and it tries again.
    private func followLink() {
        let isUp = device.record.pointee.isUp.load(ordering: .relaxed)
        if linkIsUp, !isUp {
            goUp()
        } else if !linkIsUp, isUp {
            goDown()
        }
    }

    /// The monitor has seen that the interface is up. Never assumed before: what is staged while it seems up would be
    /// dropped by older news of it being down.
    private func goUp() {
        if let errno = takePort() { return log.error("UDP port \(device.listenPort): \(errno)") }
        device.setUp(true, at: .now)
        afterWork()
    }

    private func goDown() {
        device.setUp(false, at: .now)
        places.remove()
        socketsAreOpen = false
        monitor.tell(MonitorRecord(.closeSockets))
        afterWork()
    }

    // MARK: serving

    /// Never returns; ends the process when the monitor is gone.
    func run() -> Never {
        do throws(SystemError) {
            try poll.add(listener, .readable, token: Token.listener.rawValue)
            while true {
                if monitor.hasNotices { try handleNotices() }
                var isDry = handleHandshakes()
                device.collectMail(at: .now)
                device.expireTimers(at: .now)
                if !device.record.pointee.controlInbox.isEmpty || monitor.hasNotices { isDry = false }
                afterWork()
                if isDry { try arm() }
                try watchForRoom()
                try poll.wait(timeoutMilliseconds: isDry ? -1 : 0) { event throws(SystemError) in try handle(event) }
                if clocks.observe(boot: .now, monotonicNanoseconds: clockNanoseconds(CLOCK_MONOTONIC)) {
                    log.verbose("the machine slept: all sessions are forgotten")
                    device.forgetSessions(at: .now)
                } else if boot?.hasChanged(at: .now) == true {
                    log.verbose("this process was moved to another boot: all sessions are forgotten")
                    device.forgetSessions(at: .now)
                }
                server.expire(now: .now)
            }
        } catch {
            // EPIPE: the monitor has ended, and so do we.
            if error.errno.rawValue != EPIPE { log.error("\(error)") }
            exit(error.errno.rawValue == EPIPE ? 0 : 1)
        }
    }

    private func handle(_ event: EventPoll.Event) throws(SystemError) {
        switch Token(rawValue: event.token) {
        case .wake: wake.drain()
        case .timer: timer.drain()
        case .monitor:
            monitor.tellOwed()
            try handleNotices()
        case .listener: server.accept()
        case nil: if server.owns(token: event.token) { server.serve(token: event.token, self) }
        }
    }

    private func handleNotices() throws(SystemError) {
        for notice in try monitor.takeNotices() {
            switch MonitorRecord.Kind(rawValue: notice.kind) {
            case .link:
                let mtu = Int(truncatingIfNeeded: min(notice.first, 65535))
                if mtu > 0 { device.record.pointee.maximumTransmissionUnit.store(mtu, ordering: .relaxed) }
                linkIsUp = notice.second == 1
                followLink()
            case .routes:
                let change = RouteChange(words: (notice.first, notice.second, notice.third))
                device.clearSources { change.concerns($0) }
                forgetRefusals()
            case .machineCopied:
                log.verbose("this machine is a copy of another: no key of before is used for sending again")
                device.expireSendingKeys(at: .now)
            default: break
            }
        }
    }

    /// True when the ring is empty.
    private func handleHandshakes() -> Bool {
        for _ in 0..<ControlLoop.handshakeSlice where !device.handleHandshake(at: .now) { return true }
        return false
    }

    /// What the device wants to be done: messages, wake-ups, memory.
    private func afterWork() {
        for message in device.takeOutgoing() {
            if send(message) { device.sent(message) }
        }
        let wakes = device.takeWakes()
        if wakes.contains(.transmit) { signal(wakeTransmit) }
        if wakes.contains(.control) { wake.signal() }
        device.reclaim()
        reportTimestamp()
    }

    private func send(_ message: OutgoingHandshake) -> Bool {
        message.withBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            let outcome = sender.send(
                UnsafeMutableRawPointer(mutating: base), bytes.count, segmentBytes: bytes.count, to: message.path,
                trafficClass: message.trafficClass.rawValue)
            if outcome.sourceIsGone { message.peer?.pointee.clearSource() }
            return outcome.sentBytes > 0
        }
    }

    /// The monitor's queue, as long as it is owed something.
    private func watchForRoom() throws(SystemError) {
        guard monitor.owesNews != waitsForRoom else { return }
        waitsForRoom.toggle()
        let interest: EventPoll.Interest = waitsForRoom ? [.readable, .writable] : .readable
        try poll.modify(monitor.descriptor, interest, token: Token.monitor.rawValue)
    }

    private func arm() throws(SystemError) {
        var due = device.nextDeadline(after: .now)
        if let deadline = server.deadline { due = min(due ?? deadline, deadline) }
        guard due != armed else { return }
        try timer.arm(at: due)
        armed = due
    }

    // MARK: sockets

    /// Nil, or why not; the old ones stay in use then (A6).
    private func openSockets(port: UInt16, mark: UInt32) -> Errno? {
        do throws(SystemError) {
            let sockets = try monitor.openSockets(port: port, mark: mark)
            places.install(ipv4: sockets.ipv4, ipv6: sockets.ipv6)
            monitor.tell(MonitorRecord(.socketsTaken, serial: sockets.serial))
            socketsAreOpen = true
            forgetRefusals()
            device.listenPort = sockets.port
            shared.facts.pointee.port.store(UInt64(sockets.port), ordering: .relaxed)
            return nil
        } catch {
            log.error("\(error)")
            return error.errno
        }
    }

    /// Of both senders: what the old sockets or routes could not do, the new ones may.
    private func forgetRefusals() {
        sender.forgetRefusals()
        device.record.pointee.pathGeneration.wrappingAdd(1, ordering: .relaxed)
    }

    // MARK: timestamps

    private func reportTimestamp() {
        let floor = device.timestampFloor
        guard floor > reportedTimestamp else { return }
        reportedTimestamp = floor
        var record = MonitorRecord(.timestampSent, first: floor.label, second: UInt64(floor.nanoseconds))
        record.hash = keyHash
        monitor.tell(record)
    }

    /// A new private key: its own floor applies.
    private func privateKeyChanged(to key: PrivateKey?) {
        guard let key else { return }
        let hash = key.floorName
        keyHash = hash
        guard let floor = try? monitor.timestampFloor(hash) else { return }
        device.raiseTimestampFloor(to: TAI64N(label: floor.label, nanoseconds: floor.nanoseconds))
        reportedTimestamp = device.timestampFloor
    }

    private func applyToDevice(_ change: DeviceChange) -> Errno? {
        if let key = change.privateKey { privateKeyChanged(to: key.key) }
        do {
            try device.apply(change, at: .now)
            return nil
        } catch {
            return Errno(ENOSPC)
        }
    }
}

extension ControlLoop: UAPIRequestHandler {
    func describe(into answer: inout SecretText) { answer.append(uapiStatus: device.status()) }

    /// In the order of A4: sockets first, since only they can fail. The journal has it before the client hears.
    func apply(_ change: DeviceChange) -> Errno? {
        if socketsAreOpen, change.listenPort != nil || change.firewallMark != nil {
            let port = change.listenPort ?? device.listenPort
            if let errno = openSockets(port: port, mark: change.firewallMark ?? device.firewallMark) { return errno }
        }
        let boundPort = device.listenPort
        let endsSecret = device.endsSecret(change)
        let refusal = applyToDevice(change)
        if socketsAreOpen { device.listenPort = boundPort }
        keep(change, endsSecret: endsSecret)
        if change.listenPort != nil { followLink() }
        afterWork()
        return refusal
    }

    func requestBegins(changing change: DeviceChange?) {
        let before = describedLines
        if let change { countLines(of: change) }
        monitor.tell(MonitorRecord(.requestBegins, first: UInt64(before + describedLines)))
    }
    private func countLines(of change: DeviceChange) {
        if change.replacePeers { describedLines = 0 }
        for peer in change.peers { describedLines += 1 + peer.allowedIPs.count }
    }

    func requestEnds() { monitor.tell(MonitorRecord(.requestEnds)) }

    /// A key that was replaced or removed leaves the journal at once, with everything before.
    private func keep(_ change: DeviceChange, endsSecret: Bool) {
        var text = SecretText()
        text.append(uapiSet: change)
        do throws(SystemError) {
            try text.withBytes { (bytes) throws(SystemError) in try journal.append(bytes) }
            guard journal.isOvergrown || endsSecret else { return }
            var whole = SecretText()
            whole.append(uapiSet: DeviceChange(settingAll: device.status().configuration))
            try whole.withBytes { (bytes) throws(SystemError) in try journal.rewrite(bytes) }
        } catch {
            log.error("\(error): the next worker will not know of this change")
        }
    }
}
