import CLinux
import Glibc
import LinuxSystem

/// Listening UNIX sockets with a path, as this network namespace knows them: each is a way to a process that
/// acts from outside the tunnel (leak row 4). proc_net_unix in proc(5).
enum ListeningSockets {
    /// The paths, sorted; relative ones and those that are not sockets here are left out: they belong to
    /// another root or working directory.
    static func paths() -> [String] {
        guard let table = try? File.readText("/proc/net/unix") else { return [] }
        return parse(table).filter { path in
            var status = stat()
            return stat(path, &status) == 0 && swg_s_issock(status.st_mode) != 0
        }
    }

    /// `Num RefCount Protocol Flags Type St Inode Path`; bit 16 of Flags says that the socket listens, and a
    /// datagram socket (type 2) with a name receives without listening.
    static func parse(_ table: String) -> [String] {
        var paths: Set<String> = []
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: true)
            guard fields.count == 8, fields[7].hasPrefix("/") else { continue }
            let listens = (UInt32(fields[3], radix: 16) ?? 0) & 0x10000 != 0
            if listens || fields[4] == "0002" { paths.insert(String(fields[7])) }
        }
        return paths.sorted()
    }
}
