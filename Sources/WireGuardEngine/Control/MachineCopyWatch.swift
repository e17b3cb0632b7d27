import CLinux
import Glibc
import LinuxSystem

/// The kernel's word that this machine is a copy: a snapshot was restored, or a virtual machine was forked (checklist
/// S8). The other copy has the same session keys and the same counters.
///
/// Since Linux 6.10 the driver of the VM generation ID (drivers/virt/vmgenid.c) sends a uevent with NEW_VMGENID=1,
/// the only sign that user space gets. A filter on the socket lets nothing through but events of kind "change", so
/// that devices that come and go wake nobody. Monitor only: a worker may not make sockets. netlink(7), kobject_uevent.
struct MachineCopyWatch: ~Copyable {
    private let socket: FileDescriptor

    /// struct sock_filter.
    private struct Instruction {
        var code: UInt16
        var jumpIfTrue: UInt8 = 0
        var jumpIfFalse: UInt8 = 0
        var value: UInt32
    }

    /// struct sock_fprog.
    private struct Program {
        var count: UInt16
        var instructions: UnsafeMutablePointer<Instruction>?
    }

    init() throws(SystemError) {
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let socket = FileDescriptor(
            owning: try systemCall("socket", "uevents") {
                Glibc.socket(AF_NETLINK, type, NETLINK_KOBJECT_UEVENT)
            })
        let number = socket.rawValue
        // The first word of the message, in network order: "chan".
        var instructions = [
            Instruction(code: 0x20, value: 0), Instruction(code: 0x15, jumpIfFalse: 1, value: 0x6368_616e),
            Instruction(code: 0x06, value: UInt32.max), Instruction(code: 0x06, value: 0),
        ]
        try instructions.withUnsafeMutableBufferPointer { buffer throws(SystemError) in
            var program = Program(count: UInt16(buffer.count), instructions: buffer.baseAddress)
            try systemCall("setsockopt", "SO_ATTACH_FILTER") {
                setsockopt(number, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<Program>.size))
            }
        }
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = 1
        try systemCall("bind", "uevents") { withSocketAddress(&address) { bind(number, $0, $1) } }
        self.socket = socket
    }

    var descriptor: Int32 { socket.rawValue }

    /// Reads all that has come; whether one of them says that we are a copy. Lost messages may have said it.
    func drain() -> Bool {
        var isCopy = false
        var buffer = [UInt8](repeating: 0, count: 8192)
        while true {
            var sender = sockaddr_nl()
            var size = socklen_t(MemoryLayout<sockaddr_nl>.size)
            let count = withUnsafeMutablePointer(to: &sender) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(
                        socket.rawValue, &buffer, buffer.count, Int32(MSG_DONTWAIT), __SOCKADDR_ARG(__sockaddr__: $0),
                        &size)
                }
            }
            if count < 0 {
                if errno == EINTR { continue }
                guard errno == ENOBUFS else { return isCopy }
                isCopy = true
                continue
            }
            // Anybody with the capability may multicast; only the kernel has no port.
            if sender.nl_pid == 0, MachineCopyWatch.tellsOfCopy(buffer[..<count]) { isCopy = true }
        }
    }

    /// A uevent is `ACTION@PATH` and then `KEY=VALUE`s, each ended by a zero.
    static func tellsOfCopy(_ message: ArraySlice<UInt8>) -> Bool {
        message.split(separator: 0).dropFirst().contains { $0.elementsEqual("NEW_VMGENID=1".utf8) }
    }
}
