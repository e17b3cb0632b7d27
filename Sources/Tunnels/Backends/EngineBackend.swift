import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto
import WireGuardModel
import WireGuardUAPI

/// Our engine: a TUN opened here, moved into the target while the engine starts.
///
/// Opened in the birthplace because a TUN that was opened inside its namespace keeps it alive for ever, a moved
/// one does not (promise P2). The engine needs no name of it: it gets the descriptor.
struct EngineBackend {
    let id: TunnelID
    let state: StateDirectory
    let program: String
    var ownControlGroup = false
    /// Where the engine's messages go.
    var standardError: Int32?

    /// The device, moved; the engine may not be ready yet (`MadeDevice.waitUntilReady`).
    func make(
        _ plan: TunnelPlan, in target: TargetNetwork, birthplace: RouteNetlink,
        _ journal: inout JournalWriter
    ) throws(TunnelError) -> MadeDevice {
        let socketPath = UAPISocket.path(for: id, state: state)
        let move = UndoStep.deleteLink(plan.interface, kind: "tun", in: target.reference)
        try announce(socketPath, move, &journal)

        let listener = try UAPISocket.listen(at: socketPath)
        let parts = try open(plan.device)
        try Interruption.checkpoint()
        let engine = try EngineStart(
            program: program, id: id, tun: parts.device.descriptor.rawValue, tunLayout: parts.layout,
            uapi: listener.rawValue,
            configuration: parts.configuration.rawValue, stateDirectory: state.path,
            identityFile: parts.identityFile.rawValue, standardError: standardError
        ).start()

        // Both wait: the move for the kernel's grace periods, the placement for others of them or for systemd.
        let (process, ownControlGroup, name) = (engine.child.pid, ownControlGroup, id.text)
        let (placement, link) = try beside({
            ownControlGroup ? EnginePlacement.place(process: process, name: name).description : nil
        }) { () throws(TunnelError) in
            try moveDevice(parts.device, plan, into: target, birthplace, move, &journal)
        }
        var made = MadeDevice(link: link)
        made.enginePath = program
        made.engineVersion = EngineLocator.version(of: program)
        made.uapiSocketPath = socketPath
        made.placement = placement
        made.engine = try? ProcessIdentity.of(engine.child.pid)
        made.starting = consume engine
        return made
    }

    /// What the engine inherits.
    private struct Parts: ~Copyable {
        let device: TunDevice
        let layout: TunDevice.Layout
        let configuration: FileDescriptor
        let identityFile: FileDescriptor
    }

    private func open(_ configuration: DeviceConfiguration) throws(TunnelError) -> Parts {
        do throws(SystemError) {
            let device = try TunDevice.create(name: "swg%d")
            let layout = try device.layout()
            return Parts(
                device: device, layout: layout,
                configuration: try EngineConfiguration.memoryFile(configuration),
                identityFile: try FileDescriptor.open(
                    state.engineIdentity(of: id), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW))
        } catch {
            throw TunnelError(error, doing: "making the tunnel's device")
        }
    }

    /// All of it in one write: each step may as well never happen.
    private func announce(
        _ socketPath: String, _ move: UndoStep, _ journal: inout JournalWriter
    ) throws(TunnelError) {
        let directory = String(socketPath[..<(socketPath.lastIndex(of: "/") ?? socketPath.startIndex)])
        var steps: [UndoStep] = File.exists(directory) ? [] : [.removeDirectory(directory)]
        steps.append(.removeSocket(socketPath))
        steps.append(.endProcess(identityPath: state.engineIdentity(of: id), bootID: journal.journal.bootID))
        steps.append(move)
        try journal.willDo(steps)
    }

    private func moveDevice(
        _ device: borrowing TunDevice, _ plan: TunnelPlan, into target: TargetNetwork,
        _ birthplace: RouteNetlink, _ move: UndoStep, _ journal: inout JournalWriter
    ) throws(TunnelError) -> Link {
        do throws(SystemError) {
            let home = try FileDescriptor.open("/proc/self/ns/net", O_RDONLY)
            guard let link = try birthplace.link(named: device.name) else {
                throw SystemError(call: "RTM_GETLINK", object: device.name, errno: Errno(ENODEV))
            }
            return try birthplace.moveLink(
                index: link.index, to: target.netlink, targetNamespace: target.namespace.descriptor.rawValue,
                homeNamespace: home.rawValue, newName: plan.interface.text)
        } catch {
            let isTaken = error.errno.rawValue == EEXIST
            if isTaken { try journal.didNotHappen(move) }
            throw TunnelError(
                error, doing: "moving the tunnel's device into \(target.namespace.label)",
                kind: isTaken ? .interfaceExists : .system)
        }
    }
}

/// The engine's first configuration: one `set=1` request in a memory file without a name (promise P3).
enum EngineConfiguration {
    static func memoryFile(_ device: DeviceConfiguration) throws(SystemError) -> FileDescriptor {
        var text = SecretText()
        text.append(uapiSet: DeviceChange(settingAll: device))
        let file = try MemoryFile.create(name: "swg-config")
        try text.withBytes { (bytes) throws(SystemError) in try file.writeAll(bytes, object: "swg-config") }
        try systemCall("lseek", "swg-config") { lseek(file.rawValue, 0, SEEK_SET) }
        return file
    }
}
