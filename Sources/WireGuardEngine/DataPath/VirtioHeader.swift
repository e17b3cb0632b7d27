import CLinux

/// The `virtio_net_hdr` before each packet on a TUN with IFF_VNET_HDR: what the kernel left undone, and what
/// it is asked to do. linux/virtio_net.h; the fields are in the machine's byte order.
struct VirtioHeader: Equatable {
    /// Without the `num_buffers` of the 12-byte form.
    static let fieldBytes = 10

    /// gso_type without the ECN bit.
    enum Segmentation: UInt8 {
        case none = 0
        /// VIRTIO_NET_HDR_GSO_TCPV4
        case tcp4 = 1
        /// VIRTIO_NET_HDR_GSO_TCPV6
        case tcp6 = 4
        /// VIRTIO_NET_HDR_GSO_UDP_L4, either family
        case udp = 5
    }

    /// VIRTIO_NET_HDR_F_NEEDS_CSUM: the transport checksum holds the pseudo header's sum only.
    var needsChecksum = false
    var segmentation = Segmentation.none
    /// Payload bytes of each segment.
    var segmentBytes: UInt16 = 0
    /// From the packet's first byte to the transport header.
    var checksumStart: UInt16 = 0
    /// From there to the checksum field.
    var checksumOffset: UInt16 = 0
    /// Headers to be repeated; written for the kernel, ignored when read (D17).
    var headerBytes: UInt16 = 0

    init() {}

    /// Nil for a segmentation type that was never asked for: such a packet is dropped (D17).
    init?(reading bytes: UnsafeRawPointer) {
        guard let segmentation = Segmentation(rawValue: bytes.load(fromByteOffset: 1, as: UInt8.self) & 0x7f) else {
            return nil
        }
        needsChecksum = bytes.load(as: UInt8.self) & 1 != 0
        self.segmentation = segmentation
        headerBytes = bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)
        segmentBytes = bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
        checksumStart = bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        checksumOffset = bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
    }

    /// Writes `size` bytes, 10 or more; what lies behind the known fields is zero.
    func write(to bytes: UnsafeMutableRawPointer, size: Int) {
        bytes.storeBytes(of: needsChecksum ? 1 : 0, as: UInt8.self)
        bytes.storeBytes(of: segmentation.rawValue, toByteOffset: 1, as: UInt8.self)
        bytes.storeBytes(of: headerBytes, toByteOffset: 2, as: UInt16.self)
        bytes.storeBytes(of: segmentBytes, toByteOffset: 4, as: UInt16.self)
        bytes.storeBytes(of: checksumStart, toByteOffset: 6, as: UInt16.self)
        bytes.storeBytes(of: checksumOffset, toByteOffset: 8, as: UInt16.self)
        var offset = VirtioHeader.fieldBytes
        while offset < size {
            bytes.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
            offset &+= 1
        }
    }
}
