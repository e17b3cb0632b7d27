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
        // Without its number it is no success.
        self.init(message.payload, orElse: -EBADMSG, attributesAt: flags & NLM_F_ACK_TLVS != 0 ? offset : nil)
    }

    /// NLMSG_DONE: a number, then attributes. Without the number it is the plain end.
    init(doneMessage message: RawNetlinkMessage) {
        let hasWords = Int32(message.header.nlmsg_flags) & NLM_F_ACK_TLVS != 0
        self.init(message.payload, orElse: 0, attributesAt: hasWords ? 4 : nil)
    }

    private init(_ payload: UnsafeRawBufferPointer, orElse missing: Int32, attributesAt offset: Int?) {
        let number = payload.count >= 4 ? payload.loadUnaligned(as: Int32.self) : missing
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
