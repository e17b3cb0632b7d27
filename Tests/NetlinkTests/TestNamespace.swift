import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Namespaces

@testable import Netlink

/// An empty network namespace with rtnetlink in it. Nothing of it has a name; it ends with the value.
struct TestNamespace: ~Copyable {
    let namespace: NetworkNamespace
    let route: RouteNetlink

    init() throws {
        let namespace = try NetworkNamespace.createAnonymous()
        route = try RouteNetlink(
            owning: namespace.openSocket(AF_NETLINK, Int32(SOCK_RAW.rawValue), NetlinkSocket.Bus.route.rawValue))
        self.namespace = namespace
    }

    var number: Int32 { namespace.descriptor.rawValue }

    /// A TUN here; it lives as long as the value that comes back.
    func makeTun(_ name: String) throws -> TunDevice {
        try withNamespace(namespace) { () throws(SystemError) in try TunDevice.create(name: name) }
    }

    func index(of name: String) throws -> Int32 {
        guard let link = try route.link(named: name) else {
            throw SystemError(call: "test", object: name, errno: Errno(ENODEV))
        }
        return link.index
    }

    func deleteLink(index: Int32, name: String, kind: String? = nil) throws -> Bool {
        let other = try namespace.openSocket(
            AF_NETLINK, Int32(SOCK_RAW.rawValue), NetlinkSocket.Bus.route.rawValue)
        return try route.deleteLink(index: index, name: name, kind: kind, from: other)
    }

    func pathMTU(to address: IPAddress, mark: UInt32 = 0) throws -> UInt32? {
        try withNamespace(namespace) { () throws(SystemError) in
            try PathMTU.bytes(to: Endpoint(address: address, port: 51820), mark: mark)
        }
    }

    /// Runs `ip ARGUMENTS` here and returns its exit status.
    @discardableResult
    func ip(_ arguments: String...) throws -> Int32 { try ip(arguments) }

    func ip(_ arguments: [String]) throws -> Int32 {
        var program = Spawn(.path("/sbin/ip"), arguments: ["ip"] + arguments)
        program.networkNamespace = number
        program.descriptors = [nil, nil, nil]
        return try program.start().wait().shellStatus
    }
}

func systemError(_ body: () throws(SystemError) -> Void) -> SystemError? {
    do throws(SystemError) { try body() } catch { return error }
    return nil
}

extension TunDevice {
    /// The name now, after moves and renames; while this can be asked the device lives. TUNGETIFF.
    borrowing func currentName() throws(SystemError) -> String {
        let number = descriptor.rawValue
        var request = ifreq()
        try systemCall("TUNGETIFF", "descriptor \(number)") { swg_ioctl_pointer(number, swg_TUNGETIFF, &request) }
        var name = [CChar](repeating: 0, count: Int(IFNAMSIZ))
        swg_ifreq_get_name(&request, &name)
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
