import CLinux
import Glibc
import LinuxSystem

/// What became of a train.
struct SendOutcome {
    /// Wire bytes that UDP took (D11).
    var sentBytes = 0
    /// The sticky source is no longer usable: forget it (D8b).
    var sourceIsGone = false
    /// Why the rest was dropped, 0 if nothing was.
    var error: Int32 = 0
}

/// Sends trains of datagrams: equal size except a shorter last, one destination, one source, one outer TOS
/// (D16), in one sendmsg with UDP_SEGMENT where the kernel and the path allow it.
///
/// One sender for the tx thread and one for the control thread (handshakes); nothing is shared and nothing
/// allocated after `init`. Whatever the kernel refuses, the same ciphertext is sent again in another way, never
/// sealed again (D15): EIO is "no segmentation on this socket", EMSGSIZE or EINVAL "not on this path", which
/// is remembered for a minute; ENETUNREACH, EINVAL and ENODEV with a pinned source are first taken as
/// "that source is gone" (D8b). A full queue is waited for briefly, then the train is dropped: one slow path
/// must not stop the others.
struct DatagramSender: ~Copyable {
    /// UDP's limit over IPv4: 65535 - 20 - 8.
    static var trainBytesIPv4: Int { 65507 }
    private static var trainBytesIPv6: Int { 65527 }
    private static var fullQueueMilliseconds: Int32 { 2 }
    private static var controlBytes: Int { 128 }

    private let ipv4: Int32
    private let ipv6: Int32
    private let message: UnsafeMutablePointer<msghdr>
    private let piece: UnsafeMutablePointer<iovec>
    private let control: UnsafeMutableRawPointer
    private let address: UnsafeMutableRawPointer
    private var narrowPaths = NarrowPaths()
    /// Datagrams in one sendmsg; found out by the first refusal.
    private(set) var segmentLimit: Int
    private var segmentsIPv4 = true
    private var segmentsIPv6 = true

    /// - Parameters:
    ///   - ipv4: the descriptors' numbers, which stay the same when the sockets behind them are replaced.
    ///   - segmentLimit: what is tried first. The kernel takes 128 since Linux 6.9, 64 before.
    init(ipv4: Int32, ipv6: Int32, segmentLimit: Int = 128) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.segmentLimit = segmentLimit
        message = .allocate(capacity: 1)
        piece = .allocate(capacity: 1)
        control = .allocate(byteCount: Self.controlBytes, alignment: 16)
        address = .allocate(byteCount: 32, alignment: 16)
        message.initialize(to: msghdr())
        piece.initialize(to: iovec())
        message.pointee.msg_iov = piece
        message.pointee.msg_iovlen = 1
        message.pointee.msg_name = address
    }

    deinit {
        message.deallocate()
        piece.deallocate()
        control.deallocate()
        address.deallocate()
    }

    /// After the sockets were replaced: what they could not do must be learnt anew.
    mutating func forgetRefusals() {
        narrowPaths.removeAll()
        segmentsIPv4 = true
        segmentsIPv6 = true
    }

    /// The largest train for one `send`.
    static func trainBytes(isIPv6: Bool) -> Int { isIPv6 ? trainBytesIPv6 : trainBytesIPv4 }

    /// Sends `byteCount` bytes as datagrams of `segmentBytes`.
    ///
    /// - Parameter trafficClass: outer TOS byte or traffic class (D5).
    mutating func send(
        _ bytes: UnsafeMutableRawPointer, _ byteCount: Int, segmentBytes: Int, to path: DatagramPath,
        trafficClass: UInt8
    ) -> SendOutcome {
        var outcome = SendOutcome()
        var path = path
        let socket = path.isIPv6 ? ipv6 : ipv4
        message.pointee.msg_namelen = path.writeRemote(to: address)
        let isOne = byteCount <= segmentBytes
        if !isOne, !mayUseTrain(path) {
            sendSingly(bytes, byteCount, segmentBytes, socket, &path, trafficClass, &outcome)
            return outcome
        }
        var offset = 0
        while offset < byteCount {
            let count = min(byteCount &- offset, segmentLimit &* segmentBytes)
            let segment = count > segmentBytes ? segmentBytes : 0
            var error = transmit(bytes + offset, count, segment, socket, path, trafficClass)
            if error != 0, dropSource(error, &path, &outcome) {
                error = transmit(bytes + offset, count, segment, socket, path, trafficClass)
            }
            if error == 0 {
                outcome.sentBytes &+= count
                offset &+= count
                continue
            }
            guard segment != 0 else {
                outcome.error = error
                return outcome
            }
            switch error {
            case EIO:
                if path.isIPv6 { segmentsIPv6 = false } else { segmentsIPv4 = false }
            case EINVAL where segmentLimit > 64 && count > 64 &* segmentBytes:
                segmentLimit = 64
                continue
            case EMSGSIZE, EINVAL:
                narrowPaths.insert(path, now: .now)
            default:
                outcome.error = error
                return outcome
            }
            sendSingly(bytes + offset, byteCount &- offset, segmentBytes, socket, &path, trafficClass, &outcome)
            return outcome
        }
        return outcome
    }

    private mutating func sendSingly(
        _ bytes: UnsafeMutableRawPointer, _ byteCount: Int, _ segmentBytes: Int, _ socket: Int32,
        _ path: inout DatagramPath, _ trafficClass: UInt8, _ outcome: inout SendOutcome
    ) {
        var offset = 0
        while offset < byteCount {
            let count = min(segmentBytes, byteCount &- offset)
            var error = transmit(bytes + offset, count, 0, socket, path, trafficClass)
            if error != 0, dropSource(error, &path, &outcome) {
                error = transmit(bytes + offset, count, 0, socket, path, trafficClass)
            }
            if error == 0 {
                outcome.sentBytes &+= count
            } else {
                outcome.error = error
                // A full queue stays full for the rest of the train; anything else concerns one datagram.
                if error == EAGAIN || error == ENOBUFS { return }
            }
            offset &+= count
        }
    }

    /// Whether `error` may come from the pinned source, which is then given up for a second try.
    private func dropSource(_ error: Int32, _ path: inout DatagramPath, _ outcome: inout SendOutcome) -> Bool {
        guard path.hasSource, error == ENETUNREACH || error == EINVAL || error == ENODEV || error == EADDRNOTAVAIL
        else {
            return false
        }
        path.clearSource()
        outcome.sourceIsGone = true
        return true
    }

    /// One sendmsg; 0 or the errno.
    private func transmit(
        _ bytes: UnsafeMutableRawPointer, _ byteCount: Int, _ segmentBytes: Int, _ socket: Int32, _ path: DatagramPath,
        _ trafficClass: UInt8
    ) -> Int32 {
        piece.pointee = iovec(iov_base: bytes, iov_len: byteCount)
        message.pointee.msg_controllen = writeControl(segmentBytes, path, trafficClass)
        message.pointee.msg_control = message.pointee.msg_controllen == 0 ? nil : control
        var isRepeated = false
        while sendmsg(socket, message, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 {
            let error = errno
            switch error {
            case EINTR: continue
            // The report of an earlier datagram's fate, not of this one's.
            case ECONNREFUSED where !isRepeated: isRepeated = true
            case EAGAIN, ENOBUFS:
                if isRepeated { return error }
                isRepeated = true
                var entry = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, Self.fullQueueMilliseconds)
            default: return error
            }
        }
        return 0
    }

    /// The control messages of one send; their length.
    private func writeControl(_ segmentBytes: Int, _ path: DatagramPath, _ trafficClass: UInt8) -> Int {
        var offset = 0
        if segmentBytes > 0 {
            let data = appendControl(&offset, Int32(IPPROTO_UDP), UDP_SEGMENT, MemoryLayout<UInt16>.size)
            data.storeBytes(of: UInt16(truncatingIfNeeded: segmentBytes), as: UInt16.self)
        }
        if trafficClass != 0 {
            let data =
                path.isIPv6
                ? appendControl(&offset, Int32(IPPROTO_IPV6), IPV6_TCLASS, MemoryLayout<Int32>.size)
                : appendControl(&offset, Int32(IPPROTO_IP), IP_TOS, MemoryLayout<Int32>.size)
            data.storeBytes(of: Int32(trafficClass), as: Int32.self)
        }
        if path.hasSource {
            if path.isIPv6 {
                let data = appendControl(&offset, Int32(IPPROTO_IPV6), IPV6_PKTINFO, MemoryLayout<in6_pktinfo>.size)
                data.storeBytes(of: path.sourceHigh.bigEndian, as: UInt64.self)
                data.storeBytes(of: path.sourceLow.bigEndian, toByteOffset: 8, as: UInt64.self)
                data.storeBytes(of: 0, toByteOffset: 16, as: UInt32.self)
            } else {
                let data = appendControl(&offset, Int32(IPPROTO_IP), IP_PKTINFO, MemoryLayout<in_pktinfo>.size)
                data.storeBytes(of: 0, as: UInt32.self)
                data.storeBigEndian32(UInt32(truncatingIfNeeded: path.sourceLow), 4)
                data.storeBytes(of: 0, toByteOffset: 8, as: UInt32.self)
            }
        }
        return offset
    }

    private func appendControl(_ offset: inout Int, _ level: Int32, _ type: Int32, _ dataBytes: Int)
        -> UnsafeMutableRawPointer
    {
        let header = control + offset
        var values = cmsghdr()
        values.cmsg_len = swg_cmsg_len(dataBytes)
        values.cmsg_level = level
        values.cmsg_type = type
        header.storeBytes(of: values, as: cmsghdr.self)
        offset &+= Int(swg_cmsg_space(dataBytes))
        return header + MemoryLayout<cmsghdr>.size
    }

    /// The clock is read only when a path has refused a train lately.
    private mutating func mayUseTrain(_ path: DatagramPath) -> Bool {
        (path.isIPv6 ? segmentsIPv6 : segmentsIPv4)
            && (narrowPaths.isEmpty || !narrowPaths.contains(path, now: .now))
    }
}
