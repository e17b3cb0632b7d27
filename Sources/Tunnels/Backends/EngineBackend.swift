import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto
import WireGuardModel
import WireGuardUAPI

// Theory of operation. A TUN is opened here and moved into the target, because one that was opened inside its
// namespace would keep that alive for ever, and a moved one does not (promise P2). The move costs more than all else
// of an attach together: the kernel waits in it, for 10 to 20 ms, until no processor looks at the device any more, and
// holds its lock of all network configuration (RTNL) meanwhile. So it begins as early as there is something to
// move, on a thread of its own, and whatever else is to be done is done beside it: which file and key the tunnel
// gets, the engine's start, the addresses that somebody assigns. None of that may need RTNL, or it waits for the move:
// no question about interfaces, and on older kernels none about routes.
//
// What can go wrong: either side may fail while the other goes on. Both are waited for, and the device goes with its
// last descriptor. Of two errors the caller sees that of the work beside, in the order in which it is done, and the
// move's only when there is no other; so it is always the same one.

/// Our engine, with a TUN of ours. The engine needs no name of it: it gets the descriptor.
struct EngineBackend {
    let id: TunnelID
    let state: StateDirectory
    let program: String
    var ownControlGroup = false

    /// The device, moved, under its final name; the engine may not be ready yet (`MadeDevice.waitUntilReady`).
    ///
    /// - Parameters:
    ///   - alsoAnnounced: what else the caller will change in the target, for the same write of the journal.
    ///   - decide: says what the engine is to do, while the device moves. It may make further mutations, journalled.
    ///   - meanwhile: what else is to be done beside the move, when the engine is starting.
    func make(
        _ interface: InterfaceName, in target: TargetNetwork, birthplace: RouteNetlink,
        _ journal: inout JournalWriter, alsoAnnounced: UndoStep? = nil,
        deciding decide: (inout JournalWriter) throws(TunnelError) -> DeviceConfiguration,
        meanwhile: () throws(TunnelError) -> Void = {}
    ) throws(TunnelError) -> MadeDevice {
        let socketPath = UAPISocket.path(for: id, state: state)
        let removal = UndoStep.deleteLink(interface, kind: "tun", in: target.reference)
        try announce(socketPath, [removal] + [alsoAnnounced].compactMap(\.self), &journal)
        let device = try open(birthplace)

        var side: EngineSide?
        var failure: TunnelError?
        let (moved, _) = beside({ move(device.link, interface, into: target) }) {
            do throws(TunnelError) {
                let configuration = try decide(&journal)
                side = try start(configuration, device, socketPath)
                try meanwhile()
            } catch {
                failure = error
            }
        }
        // Before anything is undone: what has the name there is somebody else's.
        if case .failure(let refusal) = moved, refusal.errno.rawValue == EEXIST { try journal.didNotHappen(removal) }
        if let failure { throw failure }
        var made = MadeDevice(link: try link(moved, target))
        guard let side = side.take() else { preconditionFailure("an engine neither started nor failed") }
        made.enginePath = program
        made.engineVersion = side.version
        made.uapiSocketPath = socketPath
        made.placement = side.placement
        made.engine = side.process
        made.starting = side.takeStarted()
        return made
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

    /// What the work beside the move comes to.
    private struct EngineSide: ~Copyable {
        let started: StartedEngine
        let process: ProcessIdentity?
        let version: String?
        let placement: String?

        consuming func takeStarted() -> StartedEngine { started }
    }

    private func start(
        _ configuration: DeviceConfiguration, _ device: borrowing OpenedDevice, _ socketPath: String
    ) throws(TunnelError) -> EngineSide {
        let log = try EngineLog.open(state: state, id: id)
        let listener = try UAPISocket.listen(at: socketPath)
        let request = try EngineConfiguration.file(configuration)
        let identityFile = try identityFile()
        try Interruption.checkpoint()
        let engine = try EngineStart(
            program: program, id: id, tun: device.tun.descriptor.rawValue, tunLayout: device.layout,
            uapi: listener.rawValue, configuration: request.rawValue, stateDirectory: state.path,
            identityFile: identityFile.rawValue, standardError: log.rawValue
        ).start()
        let process = engine.child.pid
        let placement = ownControlGroup ? EnginePlacement.place(process: process, name: id.text).description : nil
        return EngineSide(
            started: engine, process: try? ProcessIdentity.of(process), version: EngineLocator.version(of: program),
            placement: placement)
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
                    homeNamespace: home.rawValue, newName: interface.text))
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

/// The engine's first configuration: one `set=1` request in a memory file without a name (promise P3).
enum EngineConfiguration {
    static func file(_ device: DeviceConfiguration) throws(TunnelError) -> FileDescriptor {
        do throws(SystemError) {
            return try memoryFile(device)
        } catch {
            throw TunnelError(error, doing: "writing the engine's configuration")
        }
    }

    static func memoryFile(_ device: DeviceConfiguration) throws(SystemError) -> FileDescriptor {
        var text = SecretText()
        text.append(uapiSet: DeviceChange(settingAll: device))
        let file = try MemoryFile.create(name: "swg-config")
        try text.withBytes { (bytes) throws(SystemError) in try file.writeAll(bytes, object: "swg-config") }
        try systemCall("lseek", "swg-config") { lseek(file.rawValue, 0, SEEK_SET) }
        return file
    }
}
