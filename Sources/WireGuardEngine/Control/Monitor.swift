import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// The process that holds what must outlive a crash, and touches no byte of a stranger.
///
/// Theory of operation. The monitor owns the TUN, the listening UAPI socket, the UDP sockets and the memory with
/// the configuration. It starts a worker, which does everything else, and starts another when that ends. It
/// never reads from the TUN, from a UAPI client or from the network: what it hears is records of one size from
/// the worker (believed as far as their numbers go: a worker that was taken over may ask for sockets, no more),
/// signals, netlink messages of the kernel, and descriptors that end. One thread, one epoll, no timer unless
/// something is due.
///
/// It ends, with the worker, when: it is told to (SIGTERM, SIGINT), the UAPI socket's file is removed, the TUN or
/// its namespace is gone, or SWG_LIFE_FD ends. It does not end because a worker died; after ten deaths without
/// an authenticated packet in between it waits longer and longer before the next.
final class Monitor {
    private enum Token: UInt64 {
        case signals, worker, channel, life, link, listener, timer, machine
    }

    private let options: LaunchOptions
    private let log: EngineLog
    private let tun: TunDevice
    private let socket: UAPISocket
    /// SWG_LIFE_FD's number, -1 without.
    private let life: Int32
    private let configuration: FileDescriptor
    private var configurationLock = ConfigurationLock()
    private let state: FileDescriptor
    private let shared: SharedState
    private let executable: FileDescriptor
    private let signals: SignalDescriptor
    private let poll: EventPoll
    private let timer: TimerDescriptor
    private var floors: TimestampFloors
    private var link: LinkWatch?
    private var isLinkWatched = false
    /// Nil where there is no sysfs to tell.
    private var machine: MachineCopyWatch?
    private let readiness: Readiness

    private var worker: ChildProcess?
    private var channel: DescriptorChannel?
    private var sockets: UDPSocketPair?
    private var oldSockets: UDPSocketPair?
    private var socketSerial: UInt32 = 0

    private var deaths = RestartBackOff()
    private var restartAt: BootTime?
    private var stall = StallWatch()
    private var ending: Int32?

    static let peerCapacity = ProtocolLimits.maximumPeers
    /// A real-time signal, so that none is lost in another.
    private static let removalSignal = swg_sigrtmin()

    /// Everything that can fail at the start fails here, before the caller is told that we run.
    init(_ options: LaunchOptions, readiness: Readiness) throws(SystemError) {
        self.options = options
        self.readiness = readiness
        log = EngineLog(level: options.level, name: options.name)
        signals = try SignalDescriptor([SIGTERM, SIGINT, SIGHUP, Monitor.removalSignal])
        poll = try EventPoll()
        timer = try TimerDescriptor()
        if let number = options.tun {
            // Whoever started us may be moving it just now, and a question to it would wait for the end of that.
            if options.tunLayout != nil {
                tun = TunDevice.adopt(FileDescriptor(owning: number), named: options.name)
            } else {
                tun = try TunDevice.adopt(FileDescriptor(owning: number))
                tun.enableOffloads()
            }
            try tun.descriptor.setNonBlocking()
            try tun.descriptor.setCloseOnExec(true)
        } else {
            tun = try TunDevice.create(name: options.name)
            // As wireguard-go and the kernel's driver: 1500 less the largest header.
            try tun.setMaximumTransmissionUnit(1420)
        }
        if let number = options.uapi {
            socket = try UAPISocket.adopt(FileDescriptor(owning: number))
        } else {
            socket = try UAPISocket.create(name: options.name)
        }
        life = options.life ?? -1
        if life >= 0 { swg_fcntl(life, F_SETFD, Int(FD_CLOEXEC)) }
        let stateBytes = SharedState.headerBytes + SurvivorTable.byteCount(rows: Monitor.peerCapacity)
        state = try SharedState.create(byteCount: stateBytes)
        shared = try SharedState(state.rawValue, byteCount: SharedState.headerBytes)
        configuration = try ConfigurationJournal.create()
        if let number = options.configuration {
            try Monitor.copyFirstRequest(from: FileDescriptor(owning: number), to: configuration)
        }
        executable = try FileDescriptor.open("/proc/self/exe", O_PATH)
        floors = TimestampFloors(stateDirectory: options.stateDirectory)
        link = try? LinkWatch(tun: tun.descriptor.rawValue)
        if link == nil { log.verbose("the interface's MTU and state are not watched: no rtnetlink socket") }
    }

    /// Into the journal, unread.
    private static func copyFirstRequest(
        from source: consuming FileDescriptor, to target: borrowing FileDescriptor
    ) throws(SystemError) {
        let copy = try target.duplicate()
        var journal = ConfigurationJournal(copy)
        // Whoever wrote it may have left the offset at the end.
        lseek(source.rawValue, 0, SEEK_SET)
        var bytes = try source.readAll(limitBytes: 64 << 20, object: "SWG_CONFIG_FD")
        defer { bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { explicit_bzero(base, $0.count) } } }
        var result: Result<Void, SystemError> = .success(())
        bytes.withUnsafeBytes { buffer in
            result = Result { () throws(SystemError) in try journal.append(buffer) }
        }
        try result.get()
    }

    /// Serves until the end; the exit status.
    func run() throws(SystemError) -> Int32 {
        try poll.add(signals.descriptor.rawValue, .readable, token: Token.signals.rawValue)
        try poll.add(timer.descriptor.rawValue, .readable, token: Token.timer.rawValue)
        // Edge: one wake-up for each client, however long the worker takes to accept it.
        try poll.add(socket.descriptor.rawValue, [.readable, .edgeTriggered], token: Token.listener.rawValue)
        if life >= 0 { try poll.add(life, .readable, token: Token.life.rawValue) }
        if options.tunLayout == nil { try watchLink() }
        machine = try? MachineCopyWatch()
        if let number = machine?.descriptor { try poll.add(number, .readable, token: Token.machine.rawValue) }
        socket.watchRemoval(signal: Monitor.removalSignal)
        Confine.monitor(log)
        configurationLock.follow(configuration, log)
        try startWorker()
        while ending == nil {
            try poll.wait { event throws(SystemError) in
                guard let token = Token(rawValue: event.token) else { return }
                try handle(token)
            }
            try runTimers()
        }
        worker.take()?.kill()
        socket.remove()
        return ending ?? 0
    }

    private func handle(_ token: Token) throws(SystemError) {
        switch token {
        case .signals: try handleSignals()
        case .worker: try workerEnded()
        case .channel: try handleRecords()
        case .life: handleLife()
        case .link: handleLink()
        case .listener: stall.clientWaits(at: .now)
        case .machine:
            if machine?.drain() == true { sendToWorker(MonitorRecord(.machineCopied)) }
        case .timer: timer.drain()
        }
    }

    private func handleSignals() throws(SystemError) {
        while let signal = try signals.next() {
            switch signal {
            case SIGTERM, SIGINT: end(0, "signal \(signal)")
            case Monitor.removalSignal:
                if !socket.fileIsThere() { end(0, "\(socket.path) was removed") }
            // A terminal that closes does not end a daemon that it started.
            default: if options.isForeground { end(0, "signal \(signal)") }
            }
        }
    }

    private func handleLife() {
        var byte: UInt8 = 0
        let count = read(life, &byte, 1)
        if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR { end(0, "SWG_LIFE_FD ended") }
    }

    /// From now on; and the first look at it.
    private func watchLink() throws(SystemError) {
        if isLinkWatched { return }
        isLinkWatched = true
        if let link {
            for number in link.descriptors { try poll.add(number, .readable, token: Token.link.rawValue) }
            if case .gone = link.refresh() { return tell(.gone) }
        }
        tellLink()
    }

    private func handleLink() { tell(link?.drain()) }

    private func tell(_ news: LinkWatch.News?) {
        switch news {
        case .linkChanged(let state):
            sendToWorker(MonitorRecord(.link, first: UInt64(state.mtu), second: state.isUp ? 1 : 0))
        case .routesChanged(let changes):
            for change in changes {
                let (first, second, third) = change.words
                sendToWorker(MonitorRecord(.routes, first: first, second: second, third: third))
            }
        case .gone: end(0, "the interface is gone")
        case .nothing, nil: break
        }
    }

    private func end(_ status: Int32, _ reason: String) {
        if ending == nil { log.verbose("ending: \(reason)") }
        ending = ending ?? status
    }

    // MARK: the worker

    private func startWorker() throws(SystemError) {
        let (ours, theirs) = try DescriptorChannel.makePair()
        let channelForWorker = FileDescriptor(owning: theirs)
        channel = DescriptorChannel(owning: FileDescriptor(owning: ours))
        var spawn = Spawn(
            .descriptor(executable.rawValue), arguments: ["swg-engine", Worker.marker, options.name],
            environment: ["LOG_LEVEL=\(options.levelName)", "SWIFT_BACKTRACE=enable=no"]
                + (options.tunLayout.map { ["SWG_TUN_LAYOUT=\($0.text)"] } ?? []))
        spawn.descriptors = Worker.descriptors(
            tun: tun.descriptor.rawValue, listener: socket.descriptor.rawValue, channel: channelForWorker.rawValue,
            configuration: configuration.rawValue, state: state.rawValue)
        spawn.directory = "/"
        let child = try startConfined(spawn)
        try poll.add(ours, .readable, token: Token.channel.rawValue)
        try poll.add(child.process.descriptor.rawValue, .readable, token: Token.worker.rawValue)
        worker = consume child
        stall.workerStarts(configurationBytes: configurationBytes, at: .now)
        if isLinkWatched { tellLink() }
    }

    /// What is known of the interface. One that cannot be asked about is taken to be up, with the MTU of before.
    private func tellLink() { tell(.linkChanged(link?.state ?? LinkWatch.State(mtu: 0, isUp: true))) }

    /// A worker may die between its question and our answer, as often as it likes: that is told by its process, and
    /// never ends the monitor. One that lives and did not hear us asks until it is replaced.
    private func sendToWorker(_ record: MonitorRecord, descriptors: [Int32] = []) {
        do throws(SystemError) {
            if try channel?.send(record, descriptors: descriptors) == false {
                log.verbose("the worker does not read what the monitor says")
            }
        } catch {
            log.verbose("the worker is gone: \(error)")
        }
    }

    /// What the journal occupies; what was punched out of it does not count.
    private var configurationBytes: UInt64 {
        var status = stat()
        guard fstat(configuration.rawValue, &status) == 0 else { return 0 }
        return UInt64(clamping: status.st_blocks) &* 512
    }

    /// As a user of its own where that is possible; else as ours.
    private func startConfined(_ plan: Spawn) throws(SystemError) -> ChildProcess {
        guard geteuid() == 0 else { return try plan.start() }
        var spawn = plan
        // Our pid is unique among the tunnels of this pid namespace, and so is the worker's user: one that was taken
        // over cannot reach the others.
        let own = uid_t(0x6a00_0000) + uid_t(UInt32(getpid()) & 0x00ff_ffff)
        spawn.identity = (own, own)
        do throws(SystemError) {
            return try spawn.start()
        } catch {
            // A user namespace that maps one user only, or a program file that only root may execute.
            log.verbose("the worker has no user of its own: \(error)")
            return try plan.start()
        }
    }

    private func workerEnded() throws(SystemError) {
        guard let ended = try worker?.poll() else { return }
        // Its last words may still be in the channel.
        try handleRecords()
        if let number = worker?.process.descriptor.rawValue { try poll.remove(number) }
        worker = nil
        channel = nil
        if ending != nil { return }
        switch ended {
        case .exited(Worker.tunGoneStatus): return end(0, "the interface is gone")
        case .exited(Worker.refusedStatus):
            return end(1, "the configuration was refused")
        default: break
        }
        log.error("the worker ended (\(ended)); starting another")
        deaths.count(authenticated: shared.facts.pointee.authenticated.load(ordering: .relaxed))
        guard let wait = deaths.waitNanoseconds else { return try startWorker() }
        log.error("\(deaths.count) deaths without a packet from a peer: waiting \(wait / 1_000_000_000) s")
        restartAt = BootTime.now.advanced(byNanoseconds: wait)
    }

    private func handleRecords() throws(SystemError) {
        var descriptors: [Int32] = []
        while true {
            guard let received = try channel?.receiveRecord(descriptors: &descriptors) else { return }
            // The worker has none to give.
            for number in descriptors { close(number) }
            switch received {
            case .nothing: return
            case .ended:
                // The process follows; its descriptor tells how it ended.
                channel = nil
                return
            case .record(let record): try handle(record)
            }
        }
    }

    private func handle(_ record: MonitorRecord) throws(SystemError) {
        switch MonitorRecord.Kind(rawValue: record.kind) {
        case .openSockets: openSockets(record)
        case .socketsTaken: if record.serial == socketSerial { oldSockets = nil }
        case .closeSockets:
            sockets = nil
            oldSockets = nil
        case .ready:
            stall.workEnded()
            if record.first != 0 { configurationLock.wasRefused(log) }
            readiness.succeed()
            log.verbose("ready")
            try watchLink()
        case .refused:
            let errno = Errno(Int32(truncatingIfNeeded: record.first))
            readiness.fail("the configuration was refused: \(errno)")
            end(1, "the configuration was refused")
        case .requestBegins: stall.requestBegins(lines: record.first, at: .now)
        case .requestEnds:
            stall.workEnded()
            configurationLock.follow(configuration, log)
        case .timestampSent: floors.raise(record)
        case .keyChanged: sendToWorker(floors.floor(for: record))
        case .interfaceIndex: answerInterfaceIndex(record)
        default: log.error("the worker sent a record of kind \(record.kind)")
        }
    }

    // MARK: sockets

    /// Both families on one port with one mark. The pair in use lives until the worker has taken the new one; a
    /// worker that only wants what is there already gets it again.
    private func openSockets(_ record: MonitorRecord) {
        let port = UInt16(truncatingIfNeeded: record.first)
        let mark = UInt32(truncatingIfNeeded: record.second)
        do throws(SystemError) {
            // Who died before it took the new pair is followed by one that wants the old again.
            if port != 0, oldSockets?.port == port { exchangeSockets() }
            // A port of its own cannot be bound twice: same port, so only the mark can differ.
            if let present = sockets?.port, port == present {
                try sockets?.setMark(mark)
            } else {
                let fresh = try UDPSocketPair.open(port: port, mark: mark)
                oldSockets = sockets.take()
                sockets = consume fresh
            }
            socketSerial &+= 1
            guard let pair = sockets.take() else { return }
            let answer = MonitorRecord(
                .sockets, first: 0, second: UInt64(pair.port),
                third: (pair.ipv4 >= 0 ? MonitorRecord.ipv4Flag : 0) | (pair.ipv6 >= 0 ? MonitorRecord.ipv6Flag : 0),
                serial: socketSerial)
            let numbers = [pair.ipv4, pair.ipv6].filter { $0 >= 0 }
            sockets = consume pair
            sendToWorker(answer, descriptors: numbers)
        } catch {
            log.error("\(error)")
            sendToWorker(MonitorRecord(.sockets, first: UInt64(error.errno.rawValue)))
        }
    }

    private func exchangeSockets() {
        let newer = sockets.take()
        sockets = oldSockets.take()
        oldSockets = consume newer
    }

    private func answerInterfaceIndex(_ record: MonitorRecord) {
        var record = record
        let index = withUnsafeBytes(of: &record.hash) { bytes in
            if_nametoindex(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
        sendToWorker(MonitorRecord(.interfaceIndex, first: UInt64(index)))
    }

    // MARK: time

    private func runTimers() throws(SystemError) {
        let now = BootTime.now
        if let due = restartAt, due <= now {
            restartAt = nil
            try startWorker()
        }
        if stall.isClientWaiting, (try? waitReadable(socket.descriptor.rawValue, milliseconds: 0)) != true {
            stall.backlogIsEmpty()
        }
        if let due = stall.deadline, worker != nil, due <= now {
            log.error("the worker does not answer: replacing it")
            stall.replaced(at: now)
            _ = try worker?.process.send(SIGKILL)
        }
        let stallDue = worker == nil ? nil : stall.deadline
        try timer.arm(at: [restartAt, stallDue].compactMap { $0 }.min())
    }
}
