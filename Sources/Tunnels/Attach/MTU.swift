import IPAddressing
import LinuxSystem
import Netlink

/// The tunnel's MTU: an option, else the file, else what fits the narrowest way to an endpoint, else 1420.
enum TunnelMTU {
    /// IPv6 header 40, UDP header 8, WireGuard 32 (message header 16, tag 16): the outer packet's overhead.
    static let overheadBytes: UInt32 = 80
    static let defaultBytes: UInt32 = 1420
    /// RFC 8200 §5.
    static let leastForIPv6: UInt32 = 1280
    /// RFC 791.
    static let leastForIPv4: UInt32 = 576

    /// The smallest path MTU of the endpoints in the caller's namespace, which is the birthplace, less the overhead. An
    /// endpoint without a route does not count: its route may come later.
    static func discover(
        endpoints: [Endpoint], mark: UInt32, hasIPv6: Bool
    ) -> (bytes: UInt32, warning: String?) {
        var smallest: (path: UInt32, endpoint: Endpoint)?
        for endpoint in endpoints {
            guard let path = try? PathMTU.bytes(to: endpoint, mark: mark) else { continue }
            if path < smallest?.path ?? .max { smallest = (path, endpoint) }
        }
        guard let smallest else { return (defaultBytes, nil) }
        let bytes = smallest.path > overheadBytes ? smallest.path - overheadBytes : 0
        let least = hasIPv6 ? leastForIPv6 : leastForIPv4
        if bytes < least {
            return (
                least,
                "the way to \(smallest.endpoint) takes \(smallest.path) bytes, too few for the least MTU \(least): packets will be fragmented"
            )
        }
        // An interface's MTU above 65535 (loopback) says nothing about what a tunnel can carry.
        return (min(bytes, 65535 - overheadBytes), nil)
    }
}
