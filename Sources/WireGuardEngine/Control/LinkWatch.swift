import CLinux
import Glibc
import LinuxSystem

/// News of the TUN, wherever it was moved to: MTU, up and down; and of the birthplace's routes and addresses.
///
/// One rtnetlink socket of the birthplace with NETLINK_LISTEN_ALL_NSID hears of the links of every namespace that has
/// an id here, and moving an interface allocates one; nothing is pinned by that. Where a thousand tunnels were born
/// it would hear a thousand tunnels' news, so a filter lets through what has our link's index. A message says too
/// little about which of several `wg0` it means, so it only is the occasion to ask: TUNGETDEVNETNS gives a descriptor
/// of the TUN's namespace, which is closed again at once, RTM_GETNSID its id, and RTM_GETLINK with that id the link.
/// A second socket hears of the birthplace's own routes and addresses.
/// Monitor only. netlink(7), rtnetlink(7), socket(7) (SO_ATTACH_FILTER), Documentation/networking/net_namespace.
final class LinkWatch {
    struct State: Equatable {
        var mtu: UInt32
        var isUp: Bool
    }

    enum News {
        case nothing
        case linkChanged(State)
        case routesChanged([RouteChange])
        /// The interface no longer exists.
        case gone
    }

    private static let bufferBytes = 32 << 10
    /// More changes at once than this are as good as unknown.
    private static let maximumRouteChanges = 64

    /// A question waits until a move is over, so that the second one finds the link where it stays; a third is for
    /// what happened before that link's messages were let through.
    private static let maximumAttempts = 4

    private let tun: Int32
    private let links: FileDescriptor
    private let routes: FileDescriptor
    private let queries: FileDescriptor
    private let buffer: UnsafeMutableRawBufferPointer
    /// Nil before it was asked for the first time.
    private(set) var state: State?
    /// The only one whose messages come; 0 while it is unknown, and all come.
    private(set) var index: Int32 = 0
    /// State and index of the link now, nil when it is not found: asked of the kernel, but for tests.
    private let question: ((State, Int32)?) -> (State, Int32)?

    /// Hears from now on, and knows nothing before `refresh`.
    /// - Parameters:
    ///   - tun: the TUN's descriptor, owned by the caller.
    ///   - question: gets what the kernel says, and says what it should have said.
    init(tun: Int32, question: @escaping ((State, Int32)?) -> (State, Int32)? = { $0 }) throws(SystemError) {
        self.tun = tun
        self.question = question
        links = try LinkWatch.open(groups: [RTNLGRP_LINK])
        routes = try LinkWatch.open(
            groups: [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR])
        queries = try LinkWatch.open(groups: [])
        var on: Int32 = 1
        // Needs CAP_NET_BROADCAST: without it a TUN that stays here is still heard.
        setsockopt(links.rawValue, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, socklen_t(MemoryLayout<Int32>.size))
        buffer = .allocate(byteCount: LinkWatch.bufferBytes, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// Readable when `drain` has something to read.
    var descriptors: [Int32] { [links.rawValue, routes.rawValue] }

    private static func open(groups: [rtnetlink_groups]) throws(SystemError) -> FileDescriptor {
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let socket = FileDescriptor(
            owning: try systemCall("socket", "rtnetlink") { Glibc.socket(AF_NETLINK, type, NETLINK_ROUTE) })
        let number = socket.rawValue
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = groups.reduce(0) { $0 | 1 << UInt32($1.rawValue - 1) }
        try systemCall("bind", "rtnetlink") { withSocketAddress(&address) { bind(number, $0, $1) } }
        return socket
    }

    /// Reads all that has come; what it amounts to.
    func drain() -> [News] {
        var linkMayHaveChanged = false
        let linksWereLost = drain(links) { _, body in
            // The index alone: several namespaces may have a link with it, but few. Any, when ours is unknown.
            if index == 0 || body.count >= 8 && body.loadUnaligned(fromByteOffset: 4, as: Int32.self) == index {
                linkMayHaveChanged = true
            }
        }
        var changes: [RouteChange] = []
        let changesWereLost = drain(routes) { type, body in
            guard changes.count <= LinkWatch.maximumRouteChanges,
                let change = RouteChange(messageType: type, body: body), !changes.contains(change)
            else { return }
            changes.append(change)
        }
        if changesWereLost || changes.count > LinkWatch.maximumRouteChanges { changes = [.unknown] }
        var news: [News] = changes.isEmpty ? [] : [.routesChanged(changes)]
        if linkMayHaveChanged || linksWereLost { news.append(refresh()) }
        return news
    }

    /// Every message of one socket; whether some were lost (ENOBUFS), so that anything may have changed.
    private func drain(_ socket: borrowing FileDescriptor, _ body: (UInt16, UnsafeRawBufferPointer) -> Void) -> Bool {
        var wereLost = false
        while true {
            let count = recv(socket.rawValue, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count >= 0 {
                forEachMessage(count, body)
            } else if errno == ENOBUFS {
                wereLost = true
            } else if errno != EINTR {
                return wereLost
            }
        }
    }

    /// Lets through the messages about links with this index; 0: about all.
    private func hear(of index: Int32) {
        self.index = index
        // Where the kernel takes no filter all come, and `drain` looks at each.
        if index == 0 {
            swg_detach_filter(links.rawValue)
        } else {
            // ifi_index behind the nlmsghdr; the filter's loads are big-endian, netlink is not.
            swg_attach_word_filter(links.rawValue, UInt32(MemoryLayout<nlmsghdr>.size + 4), UInt32(index).byteSwapped)
        }
    }

    /// Asks what the link is like now. Waits for whoever holds the kernel's lock of network configuration.
    ///
    /// A link that moves or gets another name between two of the questions is found under neither name. It is asked
    /// for again then, and if it still moves, every message about any link is the occasion for the next question:
    /// a watch that waits for the index of a link that it never found would never hear that the link went up.
    func refresh() -> News {
        for attempt in 1...LinkWatch.maximumAttempts {
            if attempt == LinkWatch.maximumAttempts { hear(of: 0) }
            guard let (now, nowIndex) = question(LinkWatch.query(tun, queries.rawValue, buffer)) else {
                if LinkWatch.isGone(tun) { return .gone }
                continue
            }
            if nowIndex != index, attempt < LinkWatch.maximumAttempts {
                // What became of it before its messages were let through was not heard.
                hear(of: nowIndex)
                continue
            }
            guard now != state else { return .nothing }
            state = now
            return .linkChanged(now)
        }
        return .nothing
    }

    private func forEachMessage(_ count: Int, _ body: (UInt16, UnsafeRawBufferPointer) -> Void) {
        var offset = 0
        while count - offset >= MemoryLayout<nlmsghdr>.size {
            let header = buffer.loadUnaligned(fromByteOffset: offset, as: nlmsghdr.self)
            let length = Int(header.nlmsg_len)
            guard length >= MemoryLayout<nlmsghdr>.size, length <= count - offset else { return }
            body(
                header.nlmsg_type,
                UnsafeRawBufferPointer(rebasing: buffer[(offset + MemoryLayout<nlmsghdr>.size)..<(offset + length)]))
            offset += (length + 3) & ~3
        }
    }

    private static func isGone(_ tun: Int32) -> Bool {
        var request = ifreq()
        return swg_ioctl_pointer(tun, swg_TUNGETIFF, &request) != 0 && errno == EBADFD
    }

    // MARK: asking

    /// The TUN's name, without the terminator.
    private static func name(of tun: Int32) -> [UInt8]? {
        var request = ifreq()
        guard swg_ioctl_pointer(tun, swg_TUNGETIFF, &request) == 0 else { return nil }
        var name = [UInt8](repeating: 0, count: Int(IFNAMSIZ))
        name.withUnsafeMutableBytes { bytes in
            if let base = bytes.bindMemory(to: CChar.self).baseAddress { swg_ifreq_get_name(&request, base) }
        }
        return Array(name.prefix { $0 != 0 })
    }

    /// MTU, state and index of the TUN where it is now; nil when it cannot be found out.
    private static func query(
        _ tun: Int32, _ socket: Int32, _ buffer: UnsafeMutableRawBufferPointer
    ) -> (State, Int32)? {
        guard let name = name(of: tun) else { return nil }
        var namespaceID: Int32?
        let namespace = swg_ioctl_value(tun, swg_TUNGETDEVNETNS, 0)
        if namespace >= 0 {
            defer { close(namespace) }
            var descriptor = namespace
            let answer = withUnsafeBytes(of: &descriptor) { value in
                ask(
                    socket, buffer, UInt16(RTM_GETNSID), headerBytes: 4, attributes: [(UInt16(NETNSA_FD), Array(value))]
                )
            }
            // A namespace without an id is our own (or one that no link was ever moved to).
            if let answer, let value = attribute(answer, headerBytes: 4, UInt16(NETNSA_NSID)), value >= 0 {
                namespaceID = value
            }
        }
        var attributes: [(UInt16, [UInt8])] = [(UInt16(IFLA_IFNAME), name + [0])]
        if var id = namespaceID { attributes.append((46, withUnsafeBytes(of: &id) { Array($0) })) }
        guard let link = ask(socket, buffer, UInt16(RTM_GETLINK), headerBytes: 16, attributes: attributes),
            link.count >= 16,
            let mtu = attribute(link, headerBytes: 16, UInt16(IFLA_MTU)),
            // Meanwhile the name may have become another link's.
            self.name(of: tun) == name
        else { return nil }
        let index = link.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4, as: Int32.self) }
        let flags = link.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self) }
        return (State(mtu: UInt32(bitPattern: mtu), isUp: flags & UInt32(IFF_UP) != 0), index)
    }

    /// One request and the body of its answer; nil for an error.
    private static func ask(
        _ socket: Int32, _ buffer: UnsafeMutableRawBufferPointer, _ type: UInt16, headerBytes: Int,
        attributes: [(UInt16, [UInt8])]
    ) -> [UInt8]? {
        var message = [UInt8](repeating: 0, count: MemoryLayout<nlmsghdr>.size + headerBytes)
        for (kind, value) in attributes {
            withUnsafeBytes(of: UInt16(4 + value.count)) { message.append(contentsOf: $0) }
            withUnsafeBytes(of: kind) { message.append(contentsOf: $0) }
            message.append(contentsOf: value)
            while message.count % 4 != 0 { message.append(0) }
        }
        var header = nlmsghdr()
        header.nlmsg_len = UInt32(message.count)
        header.nlmsg_type = type
        header.nlmsg_flags = UInt16(NLM_F_REQUEST)
        header.nlmsg_seq = 1
        message.withUnsafeMutableBytes { $0.storeBytes(of: header, as: nlmsghdr.self) }
        guard send(socket, message, message.count, 0) == message.count,
            (try? waitReadable(socket, milliseconds: 1000)) == true
        else { return nil }
        let count = recv(socket, buffer.baseAddress, buffer.count, 0)
        guard count >= MemoryLayout<nlmsghdr>.size else { return nil }
        let answer = buffer.loadUnaligned(as: nlmsghdr.self)
        guard Int32(answer.nlmsg_type) != NLMSG_ERROR, Int(answer.nlmsg_len) <= count else { return nil }
        return Array(buffer[MemoryLayout<nlmsghdr>.size..<Int(answer.nlmsg_len)])
    }

    /// A 32-bit attribute of an answer.
    private static func attribute(_ body: [UInt8], headerBytes: Int, _ wanted: UInt16) -> Int32? {
        body.withUnsafeBytes { bytes in
            var offset = headerBytes
            while bytes.count - offset >= 4 {
                let length = Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                let kind = bytes.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self)
                guard length >= 4, length <= bytes.count - offset else { return nil }
                if kind & 0x3fff == wanted, length >= 8 {
                    return bytes.loadUnaligned(fromByteOffset: offset + 4, as: Int32.self)
                }
                offset += (length + 3) & ~3
            }
            return nil
        }
    }
}
