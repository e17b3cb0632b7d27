import LinuxSystem
import WireGuardModel

/// What a client of the UAPI asked for, in the order it asked (https://www.wireguard.com/xplatform/).
public enum UAPIRequest: Equatable, Sendable {
    /// `get=1`: answer with the device's status, then errno 0.
    case get
    /// `set=1`: apply all of it or answer with an errno.
    case set(DeviceChange)
    /// The request was not understood (checklist U3): answer with this errno and change nothing. What is left
    /// of the request is skipped.
    case refused(Errno)
    /// Close the connection without an answer: an unknown operation (U2), or the end of a refused flood.
    case hangUp
}

/// How much a client may send. The defaults hold 65,536 peers with 500 bytes each several times over, and no
/// legal line comes near the line limit (the longest, a preshared key, has 78 bytes).
public struct UAPILimits: Sendable {
    /// One line without its newline.
    public var lineBytes = 1024
    /// One request, or one response.
    public var totalBytes = 64 << 20

    public init() {}
}
