import Glibc
import LinuxSystem
import Netlink

extension TunnelKeeper {
    /// What keeps `attach` from working on this host, whatever the configuration: for CNI's STATUS. Nothing is
    /// changed.
    public func readiness(_ engine: EngineChoice) -> [TunnelError] {
        var problems: [TunnelError] = []
        switch Backend.choose(engine).kind {
        case .kernel:
            if !WireGuardNetlink.isAvailable() {
                problems.append(
                    TunnelError(
                        .unavailable, "the kernel has no WireGuard driver",
                        cure: "modprobe wireguard, or let \"engine\" be auto or userspace"))
            }
        case .userspace:
            do {
                _ = try EngineLocator.find(mayUseEnvironment: mayUseEnvironment)
            } catch {
                problems.append(error)
            }
            do {
                _ = try FileDescriptor.open("/dev/net/tun", O_RDWR)
            } catch {
                problems.append(
                    TunnelError(
                        .unavailable, "there is no TUN device: \(error)",
                        cure: "modprobe tun, and let this program open /dev/net/tun"))
            }
        }
        return problems
    }
}
