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
/// its namespace is gone, or SWG_LIFE_FD ends; and at the start, when the first configuration is refused or no
/// worker comes to serve it. Once one has served, no worker ends the monitor: not by dying, nor by what it says or
/// does not read, nor because there is no memory, process or descriptor for the next one now. After ten deaths
/// without an authenticated packet in between it waits longer and longer before the next.
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
    private let start: WorkerStart
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
    private var channel: WorkerChannel?
    private var sockets = SocketExchange()
    /// A worker has served: the engine runs, whatever becomes of the next ones.
    private var hasServed = false

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
        signals = try SignalDescriptor([SIGTERM, SIGINT, SIGHUP, SIGIO, Monitor.removalSignal])
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
            try ConfigurationJournal.copyFirstRequest(from: FileDescriptor(owning: number), to: configuration)
        }
        start = try WorkerStart(options, log: log)
        floors = TimestampFloors(stateDirectory: options.stateDirectory)
        link = try? LinkWatch(tun: tun.descriptor.rawValue)
        if link == nil { log.verbose("the interface's MTU and state are not watched: no rtnetlink socket") }
    }

    /// Serves until the end; the exit status.
    func run() throws(SystemError) -> Int32 {
        defer { socket.remove() }
        try poll.add(signals.descriptor.rawValue, .readable, token: Token.signals.rawValue)
        try poll.add(timer.descriptor.rawValue, .readable, token: Token.timer.rawValue)
        // Edge: one wake-up for each client, however long the worker takes to accept it.
        try poll.add(socket.descriptor.rawValue, [.readable, .edgeTriggered], token: Token.listener.rawValue)
        if life >= 0 { try poll.add(life, .readable, token: Token.life.rawValue) }
        if options.tunLayout == nil { watchLink() }
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
        return ending ?? 0
    }

    private func handle(_ token: Token) throws(SystemError) {
        switch token {
        case .signals: try handleSignals()
        case .worker: workerMayHaveEnded()
        case .channel:
            handleRecords(limit: WorkerChannel.receiveSlice)
            tellWorker { $0.tellOwed() }
        case .life: handleLife()
        case .link: for news in link?.drain() ?? [] { handle(news) }
        case .listener: stall.clientWaits(at: .now)
        case .machine:
            if machine?.drain() == true { tellWorker { $0.tellMachineCopied() } }
        case .timer: timer.drain()
        }
    }

    private func handleSignals() throws(SystemError) {
        while let signal = try signals.next() {
            switch signal {
            case SIGTERM, SIGINT: end(0, "signal \(signal)")
            // SIGIO takes its place when no more of it may wait: RLIMIT_SIGPENDING, fcntl(2).
            case Monitor.removalSignal, SIGIO:
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
    private func watchLink() {
        if isLinkWatched { return }
        isLinkWatched = true
        if let link {
            do throws(SystemError) {
                for number in link.descriptors { try poll.add(number, .readable, token: Token.link.rawValue) }
            } catch {
                log.error("\(error): the interface's MTU and state are not watched")
            }
            if case .gone = link.refresh() { return handle(.gone) }
        }
        tellLink()
    }

    /// What is known of the interface. One that cannot be asked about is taken to be up, with the MTU of before.
    private func tellLink() { handle(.linkChanged(link?.state ?? LinkWatch.State(mtu: 0, isUp: true))) }

    private func handle(_ news: LinkWatch.News) {
        switch news {
        case .linkChanged(let state): tellWorker { $0.tellLink(state) }
        case .routesChanged(let changes): tellWorker { $0.tellRoutes(changes) }
        case .gone: end(0, "the interface is gone")
        case .nothing: break
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
        let fresh = WorkerChannel(DescriptorChannel(owning: FileDescriptor(owning: ours)))
        // Closing it ends this, too.
        try poll.add(ours, .readable, token: Token.channel.rawValue)
        let child = try start.start(
            tun: tun.descriptor.rawValue, listener: socket.descriptor.rawValue, channel: channelForWorker.rawValue,
            configuration: configuration.rawValue, state: state.rawValue)
        do throws(SystemError) {
            try poll.add(child.process.descriptor.rawValue, .readable, token: Token.worker.rawValue)
        } catch {
            child.kill()
            throw error
        }
        worker = consume child
        channel = consume fresh
        stall.workerStarts(configurationBytes: configurationBytes, at: .now)
        if isLinkWatched { tellLink() }
    }

    /// Another after one that died. What this machine has not got now it may have in a second.
    private func startAnotherWorker() {
        do throws(SystemError) {
            try startWorker()
        } catch {
            deaths.count(authenticated: shared.facts.pointee.authenticated.load(ordering: .relaxed))
            log.error("no new worker yet: \(error)")
            restartAt = BootTime.now.advanced(byNanoseconds: deaths.waitNanoseconds ?? 1_000_000_000)
        }
    }

    /// Watches for room as long as something is owed. Without that watch it is told with the worker's next record.
    private func tellWorker(_ tell: (inout WorkerChannel) -> Void) {
        guard var open = channel.take() else { return }
        let owedBefore = open.owesNews
        tell(&open)
        if open.owesNews != owedBefore {
            let interest: EventPoll.Interest = open.owesNews ? [.readable, .writable] : .readable
            try? poll.modify(open.descriptor, interest, token: Token.channel.rawValue)
        }
        channel = consume open
    }

    /// The answer names the question.
    private func answerWorker(_ question: MonitorRecord, _ answer: MonitorRecord, descriptors: [Int32] = []) {
        var answer = answer
        answer.hash = question.hash
        tellWorker { $0.answer(answer, descriptors: descriptors) }
    }

    /// What the journal occupies; what was punched out of it does not count.
    private var configurationBytes: UInt64 {
        var status = stat()
        guard fstat(configuration.rawValue, &status) == 0 else { return 0 }
        return UInt64(clamping: status.st_blocks) &* 512
    }

    private func workerMayHaveEnded() {
        let ended: ChildProcess.Ending
        do throws(SystemError) {
            guard let ending = try worker?.poll() else { return }
            ended = ending
        } catch {
            log.error("\(error)")
            ended = .exited(1)
        }
        // Its last words may still be in the channel, and no more than a queue holds.
        handleRecords(limit: 4096)
        worker = nil
        channel = nil
        if ending != nil { return }
        if ended == .exited(Worker.tunGoneStatus), tun.isGone() {
            return end(0, "the interface is gone")
        }
        if !hasServed, ended == .exited(Worker.refusedStatus) {
            // Where its last words were lost; otherwise this is told already.
            readiness.fail("the configuration was refused")
            return end(1, "the configuration was refused")
        }
        log.error("the worker ended (\(ended)); starting another")
        deaths.count(authenticated: shared.facts.pointee.authenticated.load(ordering: .relaxed))
        guard let wait = deaths.waitNanoseconds else { return startAnotherWorker() }
        if !hasServed {
            readiness.fail("the worker does not start: \(ended)")
            return end(1, "the worker does not start")
        }
        log.error("\(deaths.count) deaths without a packet from a peer: waiting \(wait / 1_000_000_000) s")
        restartAt = BootTime.now.advanced(byNanoseconds: wait)
    }

    private func handleRecords(limit: Int) {
        for _ in 0..<limit {
            switch channel?.receive() {
            case .nothing, nil: return
            case .ended:
                // One that is not about to end, but has said that it will say nothing more, is of no use.
                channel = nil
                _ = try? worker?.process.send(SIGKILL)
                return
            case .record(let record): handle(record)
            }
        }
    }

    private func handle(_ record: MonitorRecord) {
        switch MonitorRecord.Kind(rawValue: record.kind) {
        case .openSockets: openSockets(record)
        case .socketsTaken: sockets.wasTaken(serial: record.serial)
        case .closeSockets: sockets.close()
        case .ready:
            stall.workEnded()
            if record.first != 0 { configurationLock.wasRefused(log) }
            hasServed = true
            readiness.succeed()
            log.verbose("ready")
            watchLink()
        case .refused:
            let errno = Errno(Int32(truncatingIfNeeded: record.first))
            if hasServed { return log.error("a new worker refused the configuration: \(errno)") }
            readiness.fail("the configuration was refused: \(errno)")
            end(1, "the configuration was refused")
        case .requestBegins: stall.requestBegins(lines: record.first, at: .now)
        case .requestEnds:
            stall.workEnded()
            configurationLock.follow(configuration, log)
        case .timestampSent: floors.raise(record)
        case .keyChanged: answerWorker(record, floors.floor(for: record))
        case .interfaceIndex: answerInterfaceIndex(record)
        default: log.error("the worker sent a record of kind \(record.kind)")
        }
    }

    private func openSockets(_ record: MonitorRecord) {
        do throws(SystemError) {
            let offer = try sockets.open(
                port: UInt16(truncatingIfNeeded: record.first), mark: UInt32(truncatingIfNeeded: record.second))
            answerWorker(record, offer.answer, descriptors: offer.descriptors)
        } catch {
            log.error("\(error)")
            answerWorker(record, MonitorRecord(.sockets, first: UInt64(error.errno.rawValue)))
        }
    }

    private func answerInterfaceIndex(_ record: MonitorRecord) {
        var name = record.hash
        let index = withUnsafeBytes(of: &name) { bytes in
            if_nametoindex(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
        answerWorker(record, MonitorRecord(.interfaceIndex, first: UInt64(index)))
    }

    // MARK: time

    private func runTimers() throws(SystemError) {
        let now = BootTime.now
        if let due = restartAt, due <= now {
            restartAt = nil
            startAnotherWorker()
        }
        if stall.isClientWaiting, (try? waitReadable(socket.descriptor.rawValue, milliseconds: 0)) != true {
            stall.backlogIsEmpty()
        }
        if let due = stall.deadline, worker != nil, due <= now {
            log.error("the worker does not answer: replacing it")
            stall.replaced(at: now)
            _ = try? worker?.process.send(SIGKILL)
        }
        let stallDue = worker == nil ? nil : stall.deadline
        try timer.arm(at: [restartAt, stallDue].compactMap { $0 }.min())
    }
}
