import Glibc
import IPAddressing
import LinuxSystem
import WireGuardCrypto

/// `/etc/netns/NAME/resolv.conf`, which `ip netns exec` mounts over /etc/resolv.conf. ip-netns(8).
enum NetnsFiles {
    static let directory = "/etc/netns"

    static func resolvConf(servers: [IPAddress], searchDomains: [String]) -> String {
        var text = "# Made by swg-ns from DNS=; removed when the tunnel goes.\n"
        if !searchDomains.isEmpty { text += "search \(searchDomains.joined(separator: " "))\n" }
        for server in servers { text += "nameserver \(server)\n" }
        return text
    }

    /// Writes it, journalled. An existing file that says something else is left alone, with a warning.
    static func write(
        _ text: String, forNamespace name: String, _ journal: inout JournalWriter
    ) throws(TunnelError) -> String? {
        let path = "\(directory)/\(name)/resolv.conf"
        if let existing = try? File.readText(path) {
            return existing == text ? nil : "\(path) exists and says something else: left as it is, DNS= is not applied"
        }
        for parent in [directory, "\(directory)/\(name)"] where !File.exists(parent) {
            try journal.willDo(.removeDirectory(parent))
        }
        try journal.willDo(.removeFile(path, digest: KeyText.hex(digestOfBytes(Array(text.utf8)))))
        do throws(SystemError) {
            try File.makeDirectories("\(directory)/\(name)", mode: 0o755)
            // In place, not by rename: a crash must not leave a temporary name that no journal knows. What it
            // leaves is empty, which undoing takes for ours.
            let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
            try file.writeAll(text, object: path)
        } catch {
            if error.errno.rawValue == EROFS || error.errno.rawValue == EACCES {
                return "\(path) cannot be written (\(error.errno.name)): DNS= is not applied"
            }
            throw TunnelError(error, doing: "writing the namespace's resolv.conf")
        }
        return nil
    }
}
