import CLinux
import Confinement
import Glibc
import LinuxSystem
import Synchronization
import WireGuardCrypto

/// The process that does the work: executed afresh by the monitor with everything it will ever hold.
enum Worker {
    /// argv[1]: nobody types it, and without the descriptors it leads nowhere.
    static let marker = "--worker"
    static let tunGoneStatus: Int32 = 3
    static let refusedStatus: Int32 = 4

    /// The numbers of what the monitor hands over.
    private enum Handed: Int32, CaseIterable {
        case tun = 3
        case listener, channel, configuration, state
    }

    /// For the monitor: standard streams and what is handed over, in place.
    static func descriptors(
        tun: Int32, listener: Int32, channel: Int32, configuration: Int32, state: Int32
    ) -> [Int32?] {
        [0, 1, 2, tun, listener, channel, configuration, state]
    }

    /// - Parameter layout: of the TUN, where it is known; else it is asked.
    static func main(name: String, level: String?, layout: TunDevice.Layout?) -> Int32 {
        let log = EngineLog(level: EngineLog.Level(environment: level), name: name)
        swg_set_name("swg-engine")
        for handed in Handed.allCases where fcntl(handed.rawValue, F_GETFD) < 0 {
            log.error("a worker is started by its monitor only")
            return 2
        }
        do throws(SystemError) {
            try serve(log, layout)
        } catch {
            log.error("\(error)")
            return 1
        }
    }

    private static func serve(_ log: EngineLog, _ known: TunDevice.Layout?) throws(SystemError) -> Never {
        // Compiled before privileges go: libseccomp wants a memfd and memory.
        let filter = try Confine.filter()
        let boot = try? BootIdentity()
        try Confine.worker(parent: getppid())
        for handed in Handed.allCases { swg_fcntl(handed.rawValue, F_SETFD, Int(FD_CLOEXEC)) }

        // Never closed: the loops use the number as long as the process lives.
        let tunNumber = Handed.tun.rawValue
        let layout: TunDevice.Layout
        if let known {
            layout = known
        } else {
            layout = try TunDevice.adopt(FileDescriptor.duplicating(tunNumber)).layout()
        }
        guard layout.headerBytes <= 16 else {
            throw SystemError(call: "TUNGETVNETHDRSZ", object: "\(layout.headerBytes) bytes", errno: Errno(EINVAL))
        }
        let stateBytes = SharedState.headerBytes + SurvivorTable.byteCount(rows: Monitor.peerCapacity)
        let shared = try SharedState(Handed.state.rawValue, byteCount: stateBytes)
        let monitor = MonitorClient(DescriptorChannel(owning: FileDescriptor(owning: Handed.channel.rawValue)))
        let device = Device(survivors: SurvivorTable(memory: shared.rows), random: .system, timestampFloor: .zero)
        // Until the monitor tells; where it cannot watch the interface, for good.
        device.record.pointee.maximumTransmissionUnit.store(0, ordering: .relaxed)

        let placeholder = try EventCounter()
        let (ipv4, ipv6) = try SocketPlaces.reserve(placeholder)
        let wakeControl = try EventCounter()
        let loops = try PacketLoops(
            device: device.record, facts: shared.facts, tun: tunNumber, layout: layout, ipv4: ipv4, ipv6: ipv6,
            wakeControl: wakeControl.descriptor.rawValue, jitterSeed: RandomSource.system.nextUInt64(),
            mayPoll: BusyPolling.hasSeveralProcessors, onTunGone: endWithoutTun)
        let places = SocketPlaces(ipv4: ipv4, ipv6: ipv6, placeholder: placeholder, receivePoll: loops.receivePoll)

        let control = try ControlLoop(
            device: device, monitor: monitor, places: places, wake: wakeControl, wakeTransmit: loops.wakeTransmit,
            listener: Handed.listener.rawValue, shared: shared,
            journal: ConfigurationJournal(FileDescriptor(owning: Handed.configuration.rawValue)), boot: boot, log: log)
        if let refusal = control.restore() ?? control.takeFirstPort() {
            monitor.tell(MonitorRecord(.refused, first: UInt64(refusal.rawValue)))
            _exit(refusedStatus)
        }
        control.finishRestore()
        warn(log)
        try loops.start {
            TimeSlice.request(nanoseconds: WorkerThread.turnNanoseconds)
            Confine.thread(filter)
        }
        // Handshakes give way to packets.
        setpriority(PRIO_PROCESS, 0, 5)
        Confine.thread(filter)
        monitor.tell(MonitorRecord(.ready, first: keyMemoryIsLocked ? 0 : 1))
        control.run()
    }

    /// Of what does not stop the engine and somebody should know.
    private static func warn(_ log: EngineLog) {
        for cipher in CipherImplementation.refused {
            log.warning(
                "the cipher \(cipher.rawValue) gave a wrong answer in its self-test on this CPU: "
                    + "\(CipherImplementation.fastest.rawValue) does its work")
        }
    }

    /// The interface or its namespace is gone: nothing is left to do, and there is nothing to lose.
    private static let endWithoutTun: @Sendable () -> Void = { _exit(tunGoneStatus) }
}
