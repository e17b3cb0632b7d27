import CLinux
import CMnl
import Glibc
import LinuxSystem

/// A netlink request under construction, written by libmnl.
///
/// What does not fit is not written, and marks the message as overflowed: sending such a message fails with
/// EMSGSIZE, so that a text of any length is safe to put.
struct NetlinkMessage: ~Copyable {
    private let memory: MessageMemory
    let header: UnsafeMutablePointer<nlmsghdr>
    private(set) var overflowed = false
    /// The request's name for errors, such as `RTM_NEWLINK`, and what it is about.
    let call: String
    let object: String

    /// - Parameter flags: NLM_F_*; NLM_F_REQUEST is added here.
    init(
        _ call: String, _ object: String, type: Int, flags: Int32, capacityBytes: Int = 4096, carriesKeys: Bool = false
    ) {
        self.call = call
        self.object = object
        memory = MessageMemory(byteCount: capacityBytes, carriesKeys: carriesKeys)
        // Neither kind of memory has no address.
        guard let base = memory.bytes.baseAddress else { fatalError("no memory for a netlink message") }
        header = mnl_nlmsg_put_header(base)
        header.pointee.nlmsg_type = UInt16(truncatingIfNeeded: type)
        header.pointee.nlmsg_flags = UInt16(truncatingIfNeeded: NLM_F_REQUEST | flags)
    }

    var capacity: Int { memory.bytes.count }
    var byteCount: Int { Int(header.pointee.nlmsg_len) }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory.bytes.baseAddress, count: byteCount) }

    /// The family's fixed header, such as `ifinfomsg`.
    mutating func putHeader<Fixed: BitwiseCopyable>(_ fixed: Fixed) {
        let place = mnl_nlmsg_put_extra_header(header, MemoryLayout<Fixed>.size)
        place?.storeBytes(of: fixed, as: Fixed.self)
    }

    @discardableResult
    mutating func put(_ type: Int, u8 value: UInt8) -> Bool {
        note(mnl_attr_put_u8_check(header, capacity, UInt16(truncatingIfNeeded: type), value))
    }

    @discardableResult
    mutating func put(_ type: Int, u16 value: UInt16) -> Bool {
        note(mnl_attr_put_u16_check(header, capacity, UInt16(truncatingIfNeeded: type), value))
    }

    @discardableResult
    mutating func put(_ type: Int, u32 value: UInt32) -> Bool {
        note(mnl_attr_put_u32_check(header, capacity, UInt16(truncatingIfNeeded: type), value))
    }

    @discardableResult
    mutating func put(_ type: Int, i32 value: Int32) -> Bool { put(type, u32: UInt32(bitPattern: value)) }

    /// With the final zero byte.
    @discardableResult
    mutating func put(_ type: Int, text: String) -> Bool {
        note(mnl_attr_put_strz_check(header, capacity, UInt16(truncatingIfNeeded: type), text))
    }

    @discardableResult
    mutating func put(_ type: Int, bytes: UnsafeRawBufferPointer) -> Bool {
        note(mnl_attr_put_check(header, capacity, UInt16(truncatingIfNeeded: type), bytes.count, bytes.baseAddress))
    }

    @discardableResult
    mutating func put(_ type: Int, bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { put(type, bytes: $0) }
    }

    /// Opens a nest; nil when there is no room for it.
    mutating func beginNest(_ type: Int) -> UnsafeMutablePointer<nlattr>? {
        let nest = mnl_attr_nest_start_check(header, capacity, UInt16(truncatingIfNeeded: type))
        if nest == nil { overflowed = true }
        return nest
    }

    mutating func endNest(_ nest: UnsafeMutablePointer<nlattr>?) {
        if let nest { mnl_attr_nest_end(header, nest) }
    }

    /// Takes back everything since the nest was opened.
    mutating func cancelNest(_ nest: UnsafeMutablePointer<nlattr>) {
        mnl_attr_nest_cancel(header, nest)
    }

    /// Forgets an overflow that the caller dealt with by cancelling.
    mutating func clearOverflow() { overflowed = false }

    private mutating func note(_ fits: Bool) -> Bool {
        if !fits { overflowed = true }
        return fits
    }
}
