import CLinux
import Glibc
import LinuxSystem

/// The kernel's verdict on a request, with its words where it has some. Documentation/userspace-api/netlink.
struct Acknowledgement {
    let errno: Errno
    let detail: String?

    /// NLMSG_ERROR: a number, the head of the request (all of it unless capped), then attributes.
    init(errorMessage message: RawNetlinkMessage) {
        let headerSize = MemoryLayout<nlmsghdr>.size
        let flags = Int32(message.header.nlmsg_flags)
        var offset = 4 + headerSize
        if flags & NLM_F_CAPPED == 0, message.payload.count >= offset {
            let request = message.payload.loadUnaligned(fromByteOffset: 4, as: nlmsghdr.self)
            offset = 4 + ((max(Int(request.nlmsg_len), headerSize) + 3) & ~3)
        }
        self.init(message.payload, attributesAt: flags & NLM_F_ACK_TLVS != 0 ? offset : nil)
    }

    /// NLMSG_DONE: a number, then attributes.
    init(doneMessage message: RawNetlinkMessage) {
        self.init(message.payload, attributesAt: Int32(message.header.nlmsg_flags) & NLM_F_ACK_TLVS != 0 ? 4 : nil)
    }

    private init(_ payload: UnsafeRawBufferPointer, attributesAt offset: Int?) {
        let number = payload.count >= 4 ? payload.loadUnaligned(as: Int32.self) : 0
        errno = Errno(number < 0 && number > Int32.min ? -number : 0)
        var words: String?
        if let offset, offset <= payload.count {
            let attributes = NetlinkAttributes(payload: UnsafeRawBufferPointer(rebasing: payload.dropFirst(offset)))
            for attribute in attributes where attribute.type == Int(NLMSGERR_ATTR_MSG.rawValue) {
                words = attribute.text
            }
        }
        detail = words
    }

    func check(_ message: borrowing NetlinkMessage) throws(SystemError) {
        guard errno.rawValue != 0 else { return }
        throw SystemError(call: message.call, object: message.object, errno: errno, detail: detail)
    }
}
