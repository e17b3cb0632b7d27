import CLinux
import Glibc

/// The only opener of TUN devices.
///
/// Open it in the birth namespace and move it: a TUN opened inside its final namespace would keep that
/// namespace alive for ever, a moved one does not.
/// Source: Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h.
public struct TunDevice: ~Copyable, Sendable {
    public let descriptor: FileDescriptor
    /// The name at creation; a later rename does not show here.
    public let name: String

    public static let path = "/dev/net/tun"

    /// Packets that wait for the engine; the driver's own number is 500, and it drops what does not fit.
    ///
    /// The one place where a busy machine loses small packets: an engine that has to wait for its turn of the CPU
    /// gets it back after one or two time slices of others (3 ms each), and half a million packets a second are
    /// 4,000 in 8 ms. TCP fills far less of it, since its packets are 64 KiB each.
    public static let queuePackets: Int32 = 4_000

    /// Creates a TUN interface in the calling thread's network namespace, with a vnet header before each
    /// packet and every offload that the kernel grants.
    ///
    /// - Parameter name: at most 15 bytes; `%d` in it asks the kernel for a number.
    /// - Throws: open(2) or TUNSETIFF's refusal, with the cure where it is known.
    public static func create(name: String) throws(SystemError) -> TunDevice {
        let descriptor = try openDriver()
        var request = ifreq()
        swg_ifreq_set_name(&request, name)
        swg_ifreq_set_flags(&request, Int16(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
        do {
            try systemCall("TUNSETIFF", name) { swg_ioctl_pointer(descriptor.rawValue, swg_TUNSETIFF, &request) }
        } catch {
            switch error.errno.rawValue {
            case EPERM: throw error.explained("creating an interface needs CAP_NET_ADMIN in its network namespace")
            case EBUSY: throw error.explained("the name is in use")
            default: throw error
            }
        }
        let device = TunDevice(descriptor: descriptor, name: interfaceName(request))
        device.enableOffloads()
        lengthenQueue(of: &request)
        return device
    }

    /// A longer queue is worth having, not needed: whatever refuses it, the tunnel works. SIOCSIFTXQLEN.
    private static func lengthenQueue(of request: inout ifreq) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return }
        swg_ifreq_set_queue_length(&request, queuePackets)
        _ = swg_ioctl_pointer(socket, swg_SIOCSIFTXQLEN, &request)
        close(socket)
    }

    private static func openDriver() throws(SystemError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(path, O_RDWR | O_NONBLOCK)
        } catch {
            switch error.errno.rawValue {
            case ENOENT, ENODEV, ENXIO:
                throw error.explained(
                    "no TUN driver here: modprobe tun, or mkdir -p /dev/net && mknod /dev/net/tun c 10 200")
            case EACCES, EPERM:
                throw error.explained("may not open it: run as root, or let the user in with chmod 0666 /dev/net/tun")
            default: throw error
            }
        }
    }

    /// Takes a descriptor that was opened by someone else (WG_TUN_FD).
    public static func adopt(_ descriptor: consuming FileDescriptor) throws(SystemError) -> TunDevice {
        let number = descriptor.rawValue
        let request = try interfaceRequest(number)
        return TunDevice(descriptor: descriptor, name: interfaceName(request))
    }

    /// As `adopt`, for a descriptor whose maker has said what it is: nothing is asked.
    public static func adopt(_ descriptor: consuming FileDescriptor, named name: String) -> TunDevice {
        TunDevice(descriptor: descriptor, name: name)
    }

    /// What a reader and writer of packets must know. Every question to a TUN takes the kernel's lock of all network
    /// configuration, which whoever moves an interface holds for 20 ms: so the maker asks once, before the move.
    public struct Layout: Equatable, Sendable {
        /// Bytes of `virtio_net_hdr` before each packet; 0 for none.
        public var headerBytes: Int
        public var offloads: Offloads

        public init(headerBytes: Int, offloads: Offloads) {
            self.headerBytes = headerBytes
            self.offloads = offloads
        }

        /// `HEADERBYTES:OFFLOADS`, both decimal; nil for anything else.
        public init?(_ text: String) {
            let words = text.split(separator: ":", omittingEmptySubsequences: false)
            guard words.count == 2, let bytes = Int(words[0]), bytes == 0 || bytes == 10 || bytes == 12,
                let bits = UInt8(words[1]), bits < 8
            else { return nil }
            self.init(headerBytes: bytes, offloads: Offloads(rawValue: bits))
        }

        public var text: String { "\(headerBytes):\(offloads.rawValue)" }
    }

    /// Enables what the kernel grants, and says what a packet looks like then.
    public borrowing func layout() throws(SystemError) -> Layout {
        Layout(headerBytes: try hasVnetHeader() ? try vnetHeaderBytes() : 0, offloads: enableOffloads())
    }

    init(descriptor: consuming FileDescriptor, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    /// Whether the interface no longer exists. Asks by poll(2), which does not wait for the kernel's lock of all network
    /// configuration as TUNGETIFF does.
    public borrowing func isGone() -> Bool {
        var entry = pollfd(fd: descriptor.rawValue, events: 0, revents: 0)
        return poll(&entry, 1, 0) == 1 && Int32(entry.revents) & Int32(POLLERR) != 0
    }

    /// Sets the MTU of an interface that is still in the calling thread's namespace under its first name. Needs
    /// CAP_NET_ADMIN. SIOCSIFMTU, netdevice(7).
    public borrowing func setMaximumTransmissionUnit(_ bytes: Int32) throws(SystemError) {
        let socket = FileDescriptor(
            owning: try systemCall("socket", name) {
                Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            })
        var request = ifreq()
        swg_ifreq_set_name(&request, name)
        swg_ifreq_set_mtu(&request, bytes)
        try systemCall("SIOCSIFMTU", name) { swg_ioctl_pointer(socket.rawValue, UInt(SIOCSIFMTU), &request) }
    }

    /// Whether each packet is preceded by a `virtio_net_hdr`.
    public borrowing func hasVnetHeader() throws(SystemError) -> Bool {
        var request = try TunDevice.interfaceRequest(descriptor.rawValue)
        return Int32(swg_ifreq_flags(&request)) & Int32(IFF_VNET_HDR) != 0
    }

    /// Bytes of that header (10 or 12). TUNGETVNETHDRSZ.
    public borrowing func vnetHeaderBytes() throws(SystemError) -> Int {
        var size: Int32 = 0
        let number = descriptor.rawValue
        try systemCall("TUNGETVNETHDRSZ") { swg_ioctl_pointer(number, swg_TUNGETVNETHDRSZ, &size) }
        return Int(size)
    }

    /// What the kernel may leave to the other side, and may be given: large TCP packets (TSO), large UDP (USO).
    public struct Offloads: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let checksum = Offloads(rawValue: 1)
        public static let tcp = Offloads(rawValue: 2)
        public static let udp = Offloads(rawValue: 4)
    }

    /// Offloads in falling order of worth; a kernel that refuses all of them still works, packet by packet.
    /// Says what it granted: nothing on a TUN without vnet headers.
    @discardableResult
    public borrowing func enableOffloads() -> Offloads {
        guard (try? hasVnetHeader()) == true else { return [] }
        let checksum = UInt(TUN_F_CSUM)
        let tcp = UInt(TUN_F_TSO4 | TUN_F_TSO6)
        let udp = UInt(swg_TUN_F_USO4 | swg_TUN_F_USO6)
        let choices: [(UInt, Offloads)] = [
            (checksum | tcp | udp, [.checksum, .tcp, .udp]), (checksum | tcp, [.checksum, .tcp]),
            (checksum, [.checksum]),
        ]
        for (bits, offloads) in choices
        where swg_ioctl_value(descriptor.rawValue, swg_TUNSETOFFLOAD, bits) == 0 { return offloads }
        return []
    }

    /// A descriptor of the network namespace in which the interface is now. Needs CAP_NET_ADMIN. TUNGETDEVNETNS.
    public borrowing func networkNamespace() throws(SystemError) -> FileDescriptor {
        let number = descriptor.rawValue
        return FileDescriptor(
            owning: try systemCall("TUNGETDEVNETNS", name) { swg_ioctl_value(number, swg_TUNGETDEVNETNS, 0) })
    }

    private static func interfaceRequest(_ number: Int32) throws(SystemError) -> ifreq {
        var request = ifreq()
        try systemCall("TUNGETIFF", "descriptor \(number)") { swg_ioctl_pointer(number, swg_TUNGETIFF, &request) }
        return request
    }

    private static func interfaceName(_ request: ifreq) -> String {
        var request = request
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IFNAMSIZ)) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            swg_ifreq_get_name(&request, base)
            return String(cString: base)
        }
    }
}
