import Glibc
import LinuxSystem
import Namespaces

/// ICMP sockets for everybody: a fresh network namespace allows them to nobody, and a confined ping has no
/// capability for a raw one. icmp(7), `ping_group_range`.
enum PingPermission {
    static let path = "/proc/sys/net/ipv4/ping_group_range"
    /// All groups; the greatest is 2^31 - 1.
    static let everybody = "0 2147483647"

    /// Whether a range of the kernel's, `LEAST\tGREATEST`, includes the group.
    static func allows(_ range: String, _ group: gid_t) -> Bool {
        let words = range.split(whereSeparator: { $0 == "\t" || $0 == " " || $0 == "\n" })
        guard words.count == 2, let least = UInt32(words[0]), let greatest = UInt32(words[1]) else { return false }
        return (least...max(least, greatest)).contains(group) && least <= greatest
    }
}

extension TunnelKeeper {
    /// Lets an attached namespace ping, and has detach put the setting back as it was (promise P4). Not essential:
    /// only ping suffers where it fails.
    func allowPing(
        _ tunnel: TunnelID, _ reference: NamespaceReference, inside namespace: borrowing NetworkNamespace, group: gid_t
    ) {
        let before = try? withNamespace(namespace) { () throws(SystemError) in
            try File.readText(PingPermission.path)
        }
        guard let before, !PingPermission.allows(before, group), let lock = try? state.lock(tunnel, wait: false),
            var journal = try? JournalWriter.open(state.journal(of: tunnel)), journal.journal.phase == .attached
        else { return }
        let old = before.split(separator: "\n").first.map(String.init) ?? ""
        // In a user namespace groups without a map there stand in it, and it could never be put back.
        let canBePutBack = try? withNamespace(namespace) { () throws(SystemError) in
            try File.write(old, to: PingPermission.path)
            return true
        }
        guard canBePutBack == true else { return }
        // The first value is the one to go back to, whoever else asks for more.
        if !journal.journal.undo.contains(where: { $0.action == .restoreSetting }) {
            guard (try? journal.willDo(.restoreSetting(PingPermission.path, to: old, in: reference))) != nil else {
                return
            }
        }
        try? withNamespace(namespace) { () throws(SystemError) in
            try File.write(PingPermission.everybody, to: PingPermission.path)
        }
        _ = consume lock
    }
}
