import CLinux
import CMnl
import Glibc
import IPAddressing

/// One attribute of a received message; valid while the message is being looked at.
struct NetlinkAttribute {
    let type: Int
    let payload: UnsafeRawBufferPointer

    var u8: UInt8? { payload.count >= 1 ? payload[0] : nil }
    var u16: UInt16? { load() }
    var u32: UInt32? { load() }
    var i32: Int32? { load() }
    var u64: UInt64? { load() }

    /// Up to the first zero byte.
    var text: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }

    var address: IPAddress? { IPAddress(bytes: payload) }

    var nested: NetlinkAttributes { NetlinkAttributes(payload: payload) }

    /// The first bytes as a fixed structure; nil when there are fewer.
    func load<Fixed: BitwiseCopyable>() -> Fixed? {
        payload.count >= MemoryLayout<Fixed>.size ? payload.loadUnaligned(as: Fixed.self) : nil
    }
}

/// The attributes in a stretch of a message, walked by libmnl; stops at the first that does not fit.
struct NetlinkAttributes: Sequence {
    let payload: UnsafeRawBufferPointer

    func makeIterator() -> Iterator { Iterator(rest: payload) }

    struct Iterator: IteratorProtocol {
        var rest: UnsafeRawBufferPointer

        mutating func next() -> NetlinkAttribute? {
            guard let base = rest.baseAddress else { return nil }
            let attribute = base.assumingMemoryBound(to: nlattr.self)
            guard mnl_attr_ok(attribute, Int32(clamping: rest.count)) else { return nil }
            let length = Int(mnl_attr_get_payload_len(attribute))
            let item = NetlinkAttribute(
                type: Int(mnl_attr_get_type(attribute)),
                payload: UnsafeRawBufferPointer(start: mnl_attr_get_payload(attribute), count: length))
            let step = (Int(mnl_attr_get_len(attribute)) + 3) & ~3
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(step))
            return item
        }
    }
}

/// One received message of a dump or an answer; valid inside the closure that gets it.
struct NetlinkReply {
    let type: Int
    let flags: Int32
    /// Without the netlink header.
    let payload: UnsafeRawBufferPointer

    /// The family's fixed header; nil when the message is too short for it.
    func header<Fixed: BitwiseCopyable>(_: Fixed.Type) -> Fixed? {
        payload.count >= MemoryLayout<Fixed>.size ? payload.loadUnaligned(as: Fixed.self) : nil
    }

    /// What follows the fixed header.
    func attributes<Fixed: BitwiseCopyable>(after _: Fixed.Type) -> NetlinkAttributes {
        let start = (MemoryLayout<Fixed>.size + 3) & ~3
        return NetlinkAttributes(payload: UnsafeRawBufferPointer(rebasing: payload.dropFirst(start)))
    }
}
