import IPAddressing
import WireGuardConfig
import WireGuardCrypto
import WireGuardModel

/// A tunnel that is decided in every detail, before anything is made: what `attach` and `repair` carry out.
struct TunnelPlan: Sendable {
    var publicKey: PublicKey
    /// Endpoints resolved.
    var device: DeviceConfiguration
    var interface: InterfaceName
    var addresses: [InterfaceAddress]
    var table: RoutingTable
    /// Bytes.
    var mtu: UInt32
    /// By an option or the file; else it was found by the path and may be raised.
    var mtuIsGiven = false
    var dnsServers: [IPAddress]
    var searchDomains: [String]
    var hooks = Hooks()
    /// `SaveConfig = true`: detach writes the live state back to the file.
    var savesConfiguration = false
    var configurationPath: String?
    /// Files that hold keys of this tunnel, absolute.
    var secretPaths: [String] = []
    var pool: String?
    var warnings: [String] = []
    var notices: [String] = []

    /// Without an IPv6 address the interface has IPv6 switched off: nothing of it can leave by another way,
    /// because there is none (promise P1).
    var hasIPv6: Bool { addresses.contains { $0.address.isIPv6 } }

    /// One route per AllowedIP, the kernel deciding between them by length as the device does.
    var routes: [IPPrefix] {
        guard table != .off else { return [] }
        var seen: Set<IPPrefix> = []
        return device.peers.flatMap(\.allowedIPs).filter { prefix in
            (prefix.address.isIPv4 || hasIPv6) && seen.insert(prefix).inserted
        }
    }
}

extension RoutingTable {
    /// The kernel's number; 254 is `main`.
    var number: UInt32 {
        switch self {
        case .number(let number): number
        case .off, .auto, .name: 254
        }
    }
}
