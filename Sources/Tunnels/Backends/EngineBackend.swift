import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto
import WireGuardModel
import WireGuardUAPI

// Theory of operation. A TUN is opened here and moved into the target, because one that was opened inside its
// namespace would keep that alive for ever, and a moved one does not (promise P2). The move costs more than all else
// of an attach together: the kernel waits in it, for 12 to 16 ms on an idle machine, until every processor has let go
// of what it may have seen of the device, and holds its lock of all network configuration (RTNL) meanwhile. So it begins
// as early as there is something to move, on a thread of its own, and whatever else is to be done is done beside it:
// the engine's start, which file and key the tunnel gets, the addresses that somebody assigns.
//
// Two rules for work beside the move. It must not need RTNL, or it waits for the move's end: no question about
// interfaces, and on older kernels none about routes. And the processors should be idle again after 8 ms: then the
// kernel asks first which of them are, and one that is busy costs the move another 4 to 8. Hence the engine is started
// before it is known what it shall do, and hears it over a socket when that is decided.
//
// What can go wrong: either side may fail while the other goes on. Both are waited for, and the device goes with its
// last descriptor; an engine that hears nothing before its socket closes ends. Of two errors the caller sees that of
// the work beside, in the order in which it is done, and the move's only when there is no other; so it is always the
// same one.

/// Our engine, with a TUN of ours. The engine needs no name of it: it gets the descriptor.
struct EngineBackend {
    let id: TunnelID
    let state: StateDirectory
    let program: String
    var ownControlGroup = false

    /// Tells the engine what to do; once.
    typealias Configure = (DeviceConfiguration) throws(TunnelError) -> Void

    /// The device, moved, under its final name; the engine may not be ready yet (`MadeDevice.waitUntilReady`).
    ///
    /// - Parameters:
    ///   - alsoAnnounced: what else the caller will change in the target, for the same write of the journal.
    ///   - decide: calls its second argument when it is known what the engine is to do, while the device moves. It may
    ///     make further mutations, journalled.
    ///   - meanwhile: what else is to be done beside the move.
    func make(
        _ interface: InterfaceName, in target: TargetNetwork, birthplace: RouteNetlink,
        _ journal: inout JournalWriter, alsoAnnounced: UndoStep? = nil,
        deciding decide: (inout JournalWriter, Configure) throws(TunnelError) -> Void,
        meanwhile: (borrowing MadeEngine) throws(TunnelError) -> Void = { _ in }
    ) throws(TunnelError) -> MadeDevice {
        let socketPath = UAPISocket.path(for: id, state: state)
        let removal = UndoStep.deleteLink(interface, kind: "tun", in: target.reference)
        try announce(socketPath, [removal] + [alsoAnnounced].compactMap(\.self), &journal)
        let device = try open(birthplace)

        var engine: MadeEngine?
        var failure: TunnelError?
        let (moved, _) = beside({ move(device.link, interface, into: target) }) {
            do throws(TunnelError) {
                let started = try start(device, socketPath)
                try decide(&journal) { configuration throws(TunnelError) in try started.configure(configuration) }
                let made = settle(started, socketPath)
                try meanwhile(made)
                engine = consume made
            } catch {
                failure = error
            }
        }
        // Before anything is undone: what has the name there is somebody else's.
        if case .failure(let refusal) = moved, refusal.errno.rawValue == EEXIST { try journal.didNotHappen(removal) }
        if let failure { throw failure }
        return MadeDevice(link: try link(moved, target), engine: engine.take())
    }

    /// The TUN in the birthplace, asked for all that must be known of it: later the move is in the way.
    private struct OpenedDevice: ~Copyable {
        let tun: TunDevice
        let layout: TunDevice.Layout
        let link: Link
    }

    private func open(_ birthplace: RouteNetlink) throws(TunnelError) -> OpenedDevice {
        do throws(SystemError) {
            let tun = try TunDevice.create(name: "swg%d")
            let layout = try tun.layout()
            guard let link = try birthplace.link(named: tun.name) else {
                throw SystemError(call: "RTM_GETLINK", object: tun.name, errno: Errno(ENODEV))
            }
            return OpenedDevice(tun: tun, layout: layout, link: link)
        } catch {
            throw TunnelError(error, doing: "making the tunnel's device")
        }
    }

    private func start(
        _ device: borrowing OpenedDevice, _ socketPath: String
    ) throws(TunnelError) -> ConfigurableEngine {
        let log = try EngineLog.open(state: state, id: id)
        let listener = try UAPISocket.listen(at: socketPath)
        let identityFile = try identityFile()
        let channel = try EngineConfiguration.channel()
        try Interruption.checkpoint()
        let started = try EngineStart(
            program: program, id: id, tun: device.tun.descriptor.rawValue, tunLayout: device.layout,
            uapi: listener.rawValue, configuration: channel.theirs.rawValue, stateDirectory: state.path,
            identityFile: identityFile.rawValue, standardError: log.rawValue
        ).start()
        return ConfigurableEngine(started: started, channel: channel.takeOurs())
    }

    private func settle(_ engine: consuming ConfigurableEngine, _ socketPath: String) -> MadeEngine {
        // Closed with the channel: the engine has heard all.
        let started = engine.takeStarted()
        let process = started.child.pid
        let placement = ownControlGroup ? EnginePlacement.place(process: process, name: id.text).description : nil
        return MadeEngine(
            process: try? ProcessIdentity.of(process), path: program, version: EngineLocator.version(of: program),
            uapiSocketPath: socketPath, placement: placement, starting: started)
    }

    private func identityFile() throws(TunnelError) -> FileDescriptor {
        do throws(SystemError) {
            return try FileDescriptor.open(
                state.engineIdentity(of: id), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
        } catch {
            throw StateFile.unusable(error)
        }
    }

    /// All of it in one write: each step may as well never happen.
    private func announce(
        _ socketPath: String, _ inTarget: [UndoStep], _ journal: inout JournalWriter
    ) throws(TunnelError) {
        let directory = String(socketPath[..<(socketPath.lastIndex(of: "/") ?? socketPath.startIndex)])
        var steps: [UndoStep] = File.exists(directory) ? [] : [.removeDirectory(directory)]
        steps.append(.removeSocket(socketPath))
        steps.append(.endProcess(identityPath: state.engineIdentity(of: id), bootID: journal.journal.bootID))
        try journal.willDo(steps + inTarget)
    }

    /// On the thread beside, and so over a socket of its own; the target's is nobody else's meanwhile.
    private func move(
        _ link: Link, _ interface: InterfaceName, into target: TargetNetwork
    ) -> Result<Link, SystemError> {
        do throws(SystemError) {
            let birthplace = try RouteNetlink()
            let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
            return .success(
                try birthplace.moveLink(
                    link, to: target.netlink, targetNamespace: target.namespace.descriptor.rawValue,
                    homeNamespace: home.rawValue, newName: interface.text, namesThere: target.namesSeen))
        } catch {
            return .failure(error)
        }
    }

    private func link(_ moved: Result<Link, SystemError>, _ target: TargetNetwork) throws(TunnelError) -> Link {
        do throws(SystemError) {
            return try moved.get()
        } catch {
            throw TunnelError(
                error, doing: "moving the tunnel's device into \(target.namespace.label)",
                kind: error.errno.rawValue == EEXIST ? .interfaceExists : .system)
        }
    }
}

/// An engine that waits to hear what it shall do.
private struct ConfigurableEngine: ~Copyable {
    let started: StartedEngine
    let channel: FileDescriptor

    func configure(_ device: DeviceConfiguration) throws(TunnelError) {
        let object = "the engine's configuration"
        do throws(SystemError) {
            try UnixSocket.limitSending(channel, milliseconds: MadeDevice.readyMilliseconds, object: object)
            try EngineConfiguration.text(device).withBytes { (bytes) throws(SystemError) in
                try UnixSocket.sendAll(bytes, on: channel, object: object)
            }
        } catch {
            // It has ended: why, it has told where it tells when it is ready.
            if error.errno.rawValue == EPIPE { try started.waitUntilReady(milliseconds: MadeDevice.readyMilliseconds) }
            throw TunnelError(error, doing: "telling the engine what to do", kind: .engine)
        }
    }

    consuming func takeStarted() -> StartedEngine { started }
}

/// The engine's first configuration: one `set=1` request, in memory without a name (promise P3).
enum EngineConfiguration {
    /// For an engine that is started when it is known.
    static func memoryFile(_ device: DeviceConfiguration) throws(SystemError) -> FileDescriptor {
        let file = try MemoryFile.create(name: "swg-config")
        try text(device).withBytes { (bytes) throws(SystemError) in try file.writeAll(bytes, object: "swg-config") }
        try systemCall("lseek", "swg-config") { lseek(file.rawValue, 0, SEEK_SET) }
        return file
    }

    /// For one that is started before.
    static func channel() throws(TunnelError) -> UnixSocket.StreamPair {
        do throws(SystemError) {
            return try UnixSocket.makePair()
        } catch {
            throw TunnelError(error, doing: "preparing the engine's configuration")
        }
    }

    static func text(_ device: DeviceConfiguration) -> SecretText {
        var text = SecretText()
        text.append(uapiSet: DeviceChange(settingAll: device))
        return text
    }
}
