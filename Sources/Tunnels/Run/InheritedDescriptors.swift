import CLinux
import Glibc
import LinuxSystem
import Namespaces

/// Looks at what the caller left open as standard input, output and error: the three descriptors that stay.
///
/// A socket belongs to the namespace in which it was made, for ever; so do a TUN device and a ring. Leak rows
/// 1 to 3. A directory is a way around every mount that covers something (leak row 4).
enum InheritedDescriptors {
    /// Opens /dev/null for whichever of 0 to 2 is closed: otherwise a descriptor of ours would get the number,
    /// and the command would inherit it.
    static func fillGaps() throws(TunnelError) {
        do throws(SystemError) {
            while true {
                let file = try FileDescriptor.open("/dev/null", O_RDWR)
                guard file.rawValue <= 2 else { return }
                let number = file.release()
                try systemCall("fcntl(F_SETFD)") { swg_fcntl(number, F_SETFD, 0) }
            }
        } catch {
            throw TunnelError(error, doing: "opening /dev/null for a closed standard descriptor")
        }
    }

    /// - Parameter cookie: SO_NETNS_COOKIE of the command's namespace; nil where none exists yet.
    static func check(commandNamespaceCookie cookie: UInt64?) throws(TunnelError) {
        for number: Int32 in 0...2 {
            guard let finding = finding(number, cookie) else { continue }
            throw TunnelError(
                .usage,
                "descriptor \(number) (\(names[Int(number)])) is \(finding): with it the command could get around the tunnel",
                cure: "redirect it, for instance \(number == 0 ? "</dev/null" : "\(number)>/dev/null or 2>&1 | cat")")
        }
    }

    private static let names = ["standard input", "standard output", "standard error"]

    /// What is wrong with a descriptor, in words; nil when it may stay.
    static func finding(_ number: Int32, _ cookie: UInt64?) -> String? {
        var status = stat()
        guard fstat(number, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFSOCK: return socketFinding(number, cookie)
        case S_IFDIR: return "a directory"
        case S_IFCHR where status.st_rdev == swg_makedev(10, 200): return "a TUN device"
        case S_IFREG where isNamespaceFile(number): return "a namespace"
        case S_IFREG, S_IFIFO, S_IFCHR, S_IFBLK, S_IFLNK: return nil
        default: break
        }
        // Anonymous inodes have no type: rings, pidfds, eBPF.
        let link = (try? File.readLink("/proc/self/fd/\(number)")) ?? ""
        if link.hasPrefix("anon_inode:") || link.hasPrefix("pidfd:") { return link }
        return nil
    }

    private static func socketFinding(_ number: Int32, _ cookie: UInt64?) -> String? {
        var family: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(number, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0 else {
            return "a socket of unknown kind"
        }
        // A UNIX socket has no network; what its other end does is the caller's affair (journald, sshd).
        if family == AF_UNIX { return nil }
        if let cookie, let own = try? NetworkNamespace.cookie(ofSocket: number), own == cookie { return nil }
        return "a \(familyName(family)) socket of another network namespace"
    }

    private static func isNamespaceFile(_ number: Int32) -> Bool {
        var filesystem = statfs()
        return fstatfs(number, &filesystem) == 0 && filesystem.f_type == Int(swg_NSFS_MAGIC)
    }

    private static func familyName(_ family: Int32) -> String {
        switch family {
        case AF_INET: "IPv4"
        case AF_INET6: "IPv6"
        case AF_PACKET: "packet"
        case AF_NETLINK: "netlink"
        case AF_VSOCK: "vsock"
        default: "family-\(family)"
        }
    }
}
