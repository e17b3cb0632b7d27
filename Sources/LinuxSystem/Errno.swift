import Glibc

/// An error number of the kernel, with its name.
///
/// See errno(3).
public struct Errno: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }
    public init(_ rawValue: Int32) { self.rawValue = rawValue }

    /// The calling thread's errno.
    public static var current: Errno { Errno(Glibc.errno) }

    /// The symbol, such as `EPERM`; `errno 4711` where the C library knows none.
    public var name: String {
        guard let name = strerrorname_np(rawValue) else { return "errno \(rawValue)" }
        return String(cString: name)
    }

    /// The C library's sentence, such as `Operation not permitted`.
    public var text: String {
        guard let text = strerrordesc_np(rawValue) else { return "unknown error" }
        return String(cString: text)
    }
}

extension Errno: CustomStringConvertible {
    public var description: String { "\(name) (\(text))" }
}
