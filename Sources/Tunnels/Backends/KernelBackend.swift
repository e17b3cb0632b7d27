import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardModel

/// The kernel's driver: the device is made directly in the target by a request on a socket of the birthplace,
/// so that its UDP socket is born here and it never has a name outside.
enum KernelBackend {
    static func make(
        _ plan: TunnelPlan, in target: TargetNetwork, birthplace: RouteNetlink,
        _ journal: inout JournalWriter
    ) throws(TunnelError) -> MadeDevice {
        let step = UndoStep.deleteLink(plan.interface, kind: "wireguard", in: target.reference)
        try journal.willDo(step)
        do throws(SystemError) {
            try birthplace.createWireGuard(
                name: plan.interface.text, target: target.namespace.descriptor.rawValue, mtu: plan.mtu)
        } catch {
            // Refused cleanly: what is there under the name is somebody else's.
            if error.errno.rawValue == EEXIST { try journal.didNotHappen(step) }
            let kind: TunnelError.Kind =
                switch error.errno.rawValue {
                case EEXIST: .interfaceExists
                case EOPNOTSUPP: .unavailable
                default: .system
                }
            throw TunnelError(error, doing: "making the WireGuard interface", kind: kind)
        }
        do throws(SystemError) {
            try target.namespace.wireGuardNetlink().apply(
                DeviceChange(settingAll: plan.device), to: plan.interface.text)
            guard let link = try target.netlink.link(named: plan.interface.text) else {
                throw SystemError(call: "RTM_GETLINK", object: plan.interface.text, errno: Errno(ENODEV))
            }
            return MadeDevice(link: link, engine: nil)
        } catch {
            throw TunnelError(error, doing: "configuring the WireGuard interface \(plan.interface)")
        }
    }
}
