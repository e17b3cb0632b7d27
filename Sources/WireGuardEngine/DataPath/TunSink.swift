import CLinux
import Glibc
import Synchronization

/// Packets into the TUN, each with one writev. Used by rx only.
struct TunSink: PacketSink {
    private let tun: Int32
    let virtioBytes: Int
    /// Set once the interface or its namespace is gone.
    private(set) var isGone = false

    init(tun: Int32, virtioBytes: Int) {
        self.tun = tun
        self.virtioBytes = virtioBytes
    }

    mutating func write(_ pieces: UnsafeMutablePointer<iovec>, _ count: Int) {
        while writev(tun, pieces, Int32(truncatingIfNeeded: count)) < 0 {
            switch errno {
            case EINTR: continue
            case EBADFD: isGone = true
            // EIO: the interface is down. EINVAL: the kernel does not like the packet. Either way it is lost.
            default: break
            }
            return
        }
    }
}
