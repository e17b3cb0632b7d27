import CLinux
import CMnl
import Glibc
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// The kernel's WireGuard devices in one network namespace: generic netlink family `wireguard`, version 1.
///
/// Source: Documentation/netlink/specs/wireguard.yaml, include/uapi/linux/wireguard.h. Both commands need
/// CAP_NET_ADMIN in the namespace of the socket; port and mark also in the device's birthplace.
public struct WireGuardNetlink {
    let socket: NetlinkSocket
    let family: GenericFamily
    let allowedIPRemoval: AllowedIPRemoval

    /// In the calling thread's namespace.
    public init() throws(SystemError) { try self.init(owning: NetlinkSocket.openDescriptor(.generic)) }

    /// A NETLINK_GENERIC socket that was opened in the namespace of the devices.
    /// - Throws: EOPNOTSUPP when the kernel has no WireGuard.
    public init(owning descriptor: consuming FileDescriptor) throws(SystemError) {
        try self.init(
            NetlinkSocket(owning: descriptor, carriesKeys: true),
            allowedIPRemoval: KernelVersion.current >= KernelVersion(6, 16) ? .flag : .placeholderPeer)
    }

    init(_ socket: NetlinkSocket, allowedIPRemoval: AllowedIPRemoval) throws(SystemError) {
        self.socket = socket
        self.allowedIPRemoval = allowedIPRemoval
        guard let family = try GenericFamily.resolve("wireguard", on: socket) else {
            throw SystemError(
                call: "CTRL_CMD_GETFAMILY", object: "wireguard", errno: Errno(EOPNOTSUPP),
                detail: "this kernel has no WireGuard: `modprobe wireguard`, or use --engine userspace")
        }
        self.family = family
    }

    /// Whether the kernel has WireGuard; asking loads the module where there is one.
    public static func isAvailable() -> Bool {
        guard let socket = try? NetlinkSocket(owning: NetlinkSocket.openDescriptor(.generic)) else { return false }
        return (try? GenericFamily.resolve("wireguard", on: socket)) != nil
    }

    /// `wg show NAME dump`: configuration and counters, the private key in locked memory.
    ///
    /// - Throws: ENODEV when there is no such interface, EOPNOTSUPP when it is not WireGuard.
    public func device(_ name: String) throws(SystemError) -> DeviceStatus {
        var message = family.message("WG_CMD_GET_DEVICE", name, command: WG_CMD_GET_DEVICE.rawValue, flags: 0)
        message.put(Int(WGDEVICE_A_IFNAME.rawValue), text: name)
        do throws(SystemError) {
            return try socket.dump(message, into: DeviceStatusReader()) { $0.read($1) }.status
        } catch {
            throw explain(error, name)
        }
    }

    /// `wg set NAME …`, `wg setconf`, `wg syncconf`: in as many messages as it takes.
    ///
    /// The kernel applies each message as it comes: after an error the change is half made, and the caller
    /// repeats or undoes it.
    public func apply(_ change: DeviceChange, to name: String) throws(SystemError) {
        do throws(SystemError) {
            guard change.removesAllowedIPs else { return try send(change, to: name) }
            switch allowedIPRemoval {
            case .flag:
                do throws(SystemError) {
                    try send(change, to: name)
                } catch {
                    // An unknown attribute, an unknown flag in it: a version number promised what is not there.
                    guard [EINVAL, EOPNOTSUPP].contains(error.errno.rawValue) else { throw error }
                    try sendWithPlaceholder(change, to: name)
                }
            case .placeholderPeer: try sendWithPlaceholder(change, to: name)
            }
        } catch {
            throw explain(error, name)
        }
    }

    private func sendWithPlaceholder(_ change: DeviceChange, to name: String) throws(SystemError) {
        let before = try device(name).configuration
        for step in change.withPlaceholderPeer(on: before, placeholder: PrivateKey.generate().publicKey) {
            try send(step, to: name)
        }
    }

    /// As it is, with the flag for each removal.
    func send(_ change: DeviceChange, to name: String) throws(SystemError) {
        var fragments = DeviceChangeFragments(change, interface: name, family: family)
        while let message = try fragments.next() { try socket.change(message) }
    }

    private func explain(_ error: SystemError, _ name: String) -> SystemError {
        switch error.errno.rawValue {
        case ENODEV: error.explained("there is no interface \(name) in this network namespace")
        case EOPNOTSUPP where error.detail == nil: error.explained("\(name) is not a WireGuard interface of the kernel")
        case EPERM:
            error.explained("this needs CAP_NET_ADMIN where the interface is, and for port and mark where it was made")
        case EADDRINUSE: error.explained("the listen port is taken in the namespace where the interface was made")
        default: error
        }
    }
}
