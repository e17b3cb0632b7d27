/// A refusal by the kernel: what was tried, on which object, and its answer (promise P6).
///
/// Reads `open /dev/net/tun: ENOENT (No such file or directory)`; `detail` adds the kernel's own words
/// (netlink's extended acknowledgement) or a cure.
public struct SystemError: Error, Hashable, Sendable {
    /// The system call or request, such as `setns` or `RTM_NEWLINK`.
    public let call: String
    /// What it was applied to: a path, an interface, an address. Never key material.
    public let object: String
    public let errno: Errno
    public let detail: String?

    public init(call: String, object: String = "", errno: Errno, detail: String? = nil) {
        self.call = call
        self.object = object
        self.errno = errno
        self.detail = detail
    }

    /// The same refusal with words about what to do.
    public func explained(_ detail: String) -> SystemError {
        SystemError(call: call, object: object, errno: errno, detail: self.detail.map { "\($0); \(detail)" } ?? detail)
    }
}

extension SystemError: CustomStringConvertible {
    public var description: String {
        let subject = object.isEmpty ? call : "\(call) \(printable(object, limit: .max))"
        return detail.map { "\(subject): \(errno): \($0)" } ?? "\(subject): \(errno)"
    }
}
