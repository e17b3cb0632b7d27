import LinuxSystem

/// Mounts whose traffic goes through the network namespace of whoever mounted them, whatever the command's is
/// (leak row 16). They are reported, not taken away: the home directory may be one. proc_pid_mountinfo(5).
enum NetworkMounts {
    static let types: Set<String> = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "coda", "glusterfs", "lustre", "ocfs2", "gfs2",
        "orangefs", "autofs", "davfs", "beegfs", "ncpfs",
    ]

    struct Mount: Hashable, Sendable {
        let path: String
        let type: String
    }

    static func ofThisProcess() -> [Mount] {
        guard let table = try? File.readText("/proc/self/mountinfo") else { return [] }
        return parse(table)
    }

    /// FUSE counts as a network: sshfs, rclone and s3fs are among it, and only its server knows.
    static func parse(_ table: String) -> [Mount] {
        table.split(separator: "\n").compactMap { line in
            let halves = line.split(separator: " ").split(separator: "-", maxSplits: 1)
            guard halves.count == 2, let type = halves[1].first, halves[0].count > 4 else { return nil }
            let name = String(type)
            guard types.contains(name) || name == "fuse" || name.hasPrefix("fuse.") else { return nil }
            // lxcfs and the portals' document store are local by nature.
            if name == "fuse.lxcfs" || name == "fuse.portal" || name == "fuse.gvfsd-fuse" { return nil }
            let fields = Array(halves[0])
            return Mount(path: unescape(String(fields[4])), type: name)
        }
    }

    /// Spaces and the like are written as `\040`.
    private static func unescape(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
