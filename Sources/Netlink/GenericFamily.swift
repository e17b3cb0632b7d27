import CLinux
import CMnl
import Glibc
import LinuxSystem

/// The number a generic netlink family has on this kernel. Documentation/networking/generic_netlink.
struct GenericFamily {
    let number: Int

    /// `genl ctrl get name NAME`; nil when the kernel has no such family and no module that makes it.
    ///
    /// Asking makes the kernel load the module.
    static func resolve(_ name: String, on socket: NetlinkSocket) throws(SystemError) -> GenericFamily? {
        var message = NetlinkMessage("CTRL_CMD_GETFAMILY", name, type: Int(GENL_ID_CTRL), flags: 0)
        message.putHeader(genlmsghdr(cmd: UInt8(CTRL_CMD_GETFAMILY), version: 1, reserved: 0))
        message.put(Int(CTRL_ATTR_FAMILY_NAME), text: name)
        do throws(SystemError) {
            let number = try socket.ask(message) { reply -> UInt16? in
                for attribute in reply.attributes(after: genlmsghdr.self)
                where attribute.type == Int(CTRL_ATTR_FAMILY_ID) { return attribute.u16 }
                return nil
            }
            return number.map { GenericFamily(number: Int($0)) }
        } catch {
            guard error.errno.rawValue == ENOENT else { throw error }
            return nil
        }
    }

    /// A request to the family; any may carry keys.
    func message(
        _ call: String, _ object: String, command: UInt32, flags: Int32, capacityBytes: Int = 4096
    ) -> NetlinkMessage {
        var message = NetlinkMessage(
            call, object, type: number, flags: flags, capacityBytes: capacityBytes, carriesKeys: true)
        message.putHeader(genlmsghdr(cmd: UInt8(truncatingIfNeeded: command), version: 1, reserved: 0))
        return message
    }
}
