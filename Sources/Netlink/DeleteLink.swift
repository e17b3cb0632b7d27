import CLinux
import Glibc
import LinuxSystem

// Theory of operation.
//
// RTM_DELLINK answers some 20 ms after the interface is gone: the kernel takes it out of its namespace, lets go of
// its own lock, and then waits for an RCU grace period before it frees the memory (`rcu_barrier` in
// netdev_run_todo). Nobody in user space can see a difference after the first part: name, addresses and routes are
// free, and a TUN's descriptor is dead. So the request is made by a child, which alone waits for the answer, and
// the caller goes on as soon as the interface cannot be found any more. RTM_GETLINK takes the same lock, so it says
// so at the right moment. A child that is killed meanwhile changes nothing: the kernel finishes the request. It calls
// itself `swg-dellink`.

extension RouteNetlink {
    /// `ip link delete dev NAME`, only if the index still belongs to that name (and kind, where given): numbers and
    /// names are reused (promise P5). Returns when the interface is out of the namespace.
    ///
    /// - Parameter other: a second, unused socket of the same namespace, for the child.
    /// - Returns: false when there was no such interface, which is success (promise P4).
    /// - Throws: the kernel's refusal; then the interface is still there.
    @discardableResult
    public func deleteLink(
        index: Int32, name: String, kind: String? = nil, from other: borrowing FileDescriptor
    ) throws(SystemError) -> Bool {
        guard let link = try link(index: index), link.name == name, kind == nil || link.kind == kind else {
            return false
        }
        var child: pid_t = 0
        // In plain memory: a `NetlinkMessage` is wiped in children.
        var request = DeleteRequest(index: index)
        let error = withUnsafeBytes(of: &request) {
            swg_send_from_child(other.rawValue, $0.baseAddress, $0.count, &child)
        }
        guard error == 0 else { throw SystemError(call: "fork", object: "deleting \(name)", errno: Errno(error)) }
        var hasEnded = false
        while let now = try self.link(index: index), now.name == name {
            if hasEnded {
                throw SystemError(call: "RTM_DELLINK", object: name, errno: Errno(EBUSY), detail: "it stays")
            }
            var status: Int32 = 0
            if waitpid(child, &status, WNOHANG | __WALL) == child {
                let refusal = swg_wifsignaled(status) != 0 ? EINTR : swg_wexitstatus(status)
                guard refusal == 0 || refusal == ENODEV else {
                    throw SystemError(call: "RTM_DELLINK", object: name, errno: Errno(refusal))
                }
                hasEnded = true
            } else {
                // It has not come to the kernel yet.
                usleep(200)
            }
        }
        if !hasEnded { waitpid(child, nil, WNOHANG | __WALL) }
        return true
    }
}

/// RTM_DELLINK for one index. rtnetlink(7).
private struct DeleteRequest {
    var header = nlmsghdr()
    var link: ifinfomsg

    init(index: Int32) {
        link = ifinfomsg(index: index)
        header.nlmsg_len = UInt32(MemoryLayout<DeleteRequest>.size)
        header.nlmsg_type = UInt16(RTM_DELLINK)
        header.nlmsg_flags = UInt16(NLM_F_REQUEST | NLM_F_ACK)
        header.nlmsg_seq = 1
    }
}
