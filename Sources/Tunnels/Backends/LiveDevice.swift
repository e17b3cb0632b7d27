import LinuxSystem
import Namespaces
import Netlink
import WireGuardModel

/// A live device, whichever backend it has: asked and told in one way.
enum LiveDevice {
    case engine(UAPIClient)
    case kernel(WireGuardNetlink, interface: String)

    func status() throws(TunnelError) -> DeviceStatus {
        switch self {
        case .engine(let client): return try client.status()
        case .kernel(let netlink, let interface):
            do throws(SystemError) {
                return try netlink.device(interface)
            } catch {
                throw TunnelError(error, doing: "asking the kernel about \(interface)")
            }
        }
    }

    /// `status` in two halves: an engine answers beside what its caller does meanwhile.
    func askStatus() throws(TunnelError) -> PendingStatus {
        guard case .engine(let client) = self else { return PendingStatus(device: self, answer: nil) }
        return PendingStatus(device: self, answer: try client.askStatus())
    }

    func apply(_ change: DeviceChange) throws(TunnelError) {
        switch self {
        case .engine(let client): try client.apply(change)
        case .kernel(let netlink, let interface):
            do throws(SystemError) {
                try netlink.apply(change, to: interface)
            } catch {
                throw TunnelError(error, doing: "changing \(interface)")
            }
        }
    }
}

/// A device that was asked and has not been listened to; the kernel is asked only then.
struct PendingStatus: ~Copyable {
    fileprivate let device: LiveDevice
    fileprivate let answer: PendingAnswer?

    consuming func status() throws(TunnelError) -> DeviceStatus {
        let device = device
        if case .engine(let client) = device, let answer = answer { return try client.status(answer) }
        return try device.status()
    }
}

extension TunnelKeeper {
    /// The device of a tunnel: over the engine's socket, or over a socket in its namespace.
    func liveDevice(
        _ record: TunnelRecord, inside target: TargetNetwork
    ) throws(TunnelError) -> LiveDevice {
        if record.backend == .userspace { return .engine(UAPIClient(path: record.uapiSocketPath ?? "")) }
        do throws(SystemError) {
            return .kernel(try target.namespace.wireGuardNetlink(), interface: record.interface)
        } catch {
            throw TunnelError(error, doing: "asking the kernel about \(record.interface)")
        }
    }
}
