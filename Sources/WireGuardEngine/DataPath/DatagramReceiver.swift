import CLinux
import Glibc

/// One message of recvmmsg: a datagram, or several of equal size that UDP_GRO has joined.
struct ReceivedMessage {
    let bytes: UnsafeMutableRawPointer
    let byteCount: Int
    /// Wire bytes of each datagram in it; the last may be shorter. Equal to `byteCount` for one alone.
    let segmentBytes: Int
    /// Where it came from and at which of our addresses it arrived.
    let path: DatagramPath
    /// Outer TOS byte or traffic class.
    let trafficClass: UInt8
}

/// Reads UDP messages in batches into buffers of their own, 64 KiB each, that exist once touched.
///
/// A message longer than its buffer (MSG_TRUNC: cannot happen with 65,535 bytes) is skipped (M6). Used by
/// the rx thread only; nothing is allocated after `init`.
struct DatagramReceiver: ~Copyable {
    static var messageCapacity: Int { 16 }
    /// GRO never joins more than an IP packet holds.
    private static var bufferBytes: Int { 65536 }
    private static var controlBytes: Int { 192 }
    private static var addressBytes: Int { 32 }

    private let buffers: PageRegion
    private let messages: UnsafeMutablePointer<mmsghdr>
    private let pieces: UnsafeMutablePointer<iovec>
    private let controls: UnsafeMutableRawPointer
    private let addresses: UnsafeMutableRawPointer

    init(buffers: consuming PageRegion) {
        precondition(buffers.byteCount >= DatagramReceiver.regionBytes)
        self.buffers = buffers
        let capacity = Self.messageCapacity
        messages = .allocate(capacity: capacity)
        pieces = .allocate(capacity: capacity)
        controls = .allocate(byteCount: capacity * Self.controlBytes, alignment: 16)
        addresses = .allocate(byteCount: capacity * Self.addressBytes, alignment: 16)
        messages.initialize(repeating: mmsghdr(), count: capacity)
        for index in 0..<capacity {
            pieces[index] = iovec(iov_base: self.buffers.base + index * Self.bufferBytes, iov_len: Self.bufferBytes - 1)
            messages[index].msg_hdr.msg_iov = pieces + index
            messages[index].msg_hdr.msg_iovlen = 1
            messages[index].msg_hdr.msg_name = addresses + index * Self.addressBytes
            messages[index].msg_hdr.msg_control = controls + index * Self.controlBytes
        }
    }

    static var regionBytes: Int { messageCapacity * bufferBytes }

    deinit {
        messages.deallocate()
        pieces.deallocate()
        controls.deallocate()
        addresses.deallocate()
    }

    /// How many messages came; 0 when the socket is dry, or has nothing but an error to report.
    mutating func receive(_ socket: Int32) -> Int {
        for index in 0..<Self.messageCapacity {
            messages[index].msg_hdr.msg_namelen = socklen_t(MemoryLayout<sockaddr_in6>.size)
            messages[index].msg_hdr.msg_controllen = Self.controlBytes
        }
        while true {
            let count = recvmmsg(
                socket, messages, UInt32(Self.messageCapacity), Int32(MSG_DONTWAIT), nil)
            if count >= 0 { return Int(count) }
            // An ICMP error that an earlier send provoked is reported once; the queue is behind it.
            switch errno {
            case EINTR, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH: continue
            default: return 0
            }
        }
    }

    /// The message at `index` of the last `receive`; nil when it was cut off or has no usable source.
    func message(_ index: Int) -> ReceivedMessage? {
        let byteCount = Int(messages[index].msg_len)
        guard messages[index].msg_hdr.msg_flags & Int32(MSG_TRUNC) == 0, let bytes = pieces[index].iov_base,
            var path = DatagramPath(
                remote: addresses + index * Self.addressBytes, Int(messages[index].msg_hdr.msg_namelen))
        else { return nil }
        var trafficClass: UInt8 = 0
        var segmentBytes = byteCount
        // msg_hdr is the first member.
        let header = UnsafeMutableRawPointer(messages + index).assumingMemoryBound(to: msghdr.self)
        var next = swg_cmsg_first(header)
        while let control = next {
            if let data = swg_cmsg_data(control) {
                let dataBytes = Int(control.pointee.cmsg_len) - Int(swg_cmsg_len(0))
                switch (control.pointee.cmsg_level, control.pointee.cmsg_type) {
                case (Int32(IPPROTO_IP), IP_PKTINFO) where dataBytes >= MemoryLayout<in_pktinfo>.size:
                    path.setSource(data.loadUnaligned(as: in_pktinfo.self))
                case (Int32(IPPROTO_IPV6), IPV6_PKTINFO) where dataBytes >= MemoryLayout<in6_pktinfo>.size:
                    path.setSource(data.loadUnaligned(as: in6_pktinfo.self))
                case (Int32(IPPROTO_IP), IP_TOS) where dataBytes >= 1:
                    trafficClass = data.load(as: UInt8.self)
                case (Int32(IPPROTO_IPV6), IPV6_TCLASS) where dataBytes >= 4:
                    trafficClass = UInt8(truncatingIfNeeded: data.loadUnaligned(as: Int32.self))
                case (Int32(IPPROTO_UDP), UDP_GRO) where dataBytes >= 4:
                    segmentBytes = Int(data.loadUnaligned(as: Int32.self))
                default: break
                }
            }
            next = swg_cmsg_next(header, control)
        }
        if segmentBytes <= 0 || segmentBytes > byteCount { segmentBytes = byteCount }
        return ReceivedMessage(
            bytes: bytes, byteCount: byteCount, segmentBytes: segmentBytes, path: path, trafficClass: trafficClass)
    }
}
