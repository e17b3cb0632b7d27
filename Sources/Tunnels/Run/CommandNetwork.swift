import CLinux
import Glibc
import LinuxSystem
import Namespaces
import Netlink

/// The command's network namespace, made by the child that will live in it.
enum CommandNetwork {
    /// Makes it and configures the tunnel in it.
    ///
    /// - Parameter makesDevice: true: the TUN is opened where the process is now, moved into the new namespace,
    ///   and its descriptor handed to the parent. False: the parent makes a kernel device in the namespace that
    ///   it is handed, and says so.
    static func make(
        _ plan: TunnelPlan, makesDevice: Bool, _ channel: borrowing CommandChannel
    ) throws(CommandFailure) {
        do {
            let home = try FileDescriptor.open("/proc/self/ns/net", O_RDONLY)
            let homeNetlink = try RouteNetlink()
            var device: TunDevice? = makesDevice ? try TunDevice.create(name: "swg%d") : nil
            try enterNewNamespaces([.network])
            let own = try NetworkNamespace.own()
            try channel.send(.namespace, passing: own.descriptor.rawValue)
            let reference = NamespaceReference(own)
            let target = try TargetNetwork(own, reference)
            if let device = device.take() {
                try move(device, from: homeNetlink, home: home.rawValue, into: target, name: plan.interface.text)
                try channel.send(.device, passing: device.descriptor.rawValue)
            } else if try channel.receive()?.word != .device {
                _exit(RunStatus.failed)
            }
            guard let link = try target.netlink.link(named: plan.interface.text) else {
                throw CommandFailure("the tunnel's interface \(plan.interface) has vanished")
            }
            let warnings = try target.configure(link, plan)
            for warning in warnings { try channel.send(.warning, warning) }
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure("making the tunnel's network", error)
        }
    }

    private static func move(
        _ device: borrowing TunDevice, from netlink: RouteNetlink, home: Int32, into target: borrowing TargetNetwork,
        name: String
    ) throws(SystemError) {
        guard let link = try netlink.link(named: device.name) else {
            throw SystemError(call: "RTM_GETLINK", object: device.name, errno: Errno(ENODEV))
        }
        try netlink.moveLink(
            index: link.index, to: target.netlink, targetNamespace: target.namespace.descriptor.rawValue,
            homeNamespace: home, newName: name)
    }
}
