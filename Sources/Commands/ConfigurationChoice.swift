import Glibc
import LinuxSystem
import Tunnels

/// CONFIG of the command line: `-` and pipes are read once; a word with `/`, ending in `.conf`, or naming a file
/// here is a path; else `/etc/wireguard/NAME.conf`, then `$XDG_CONFIG_HOME/swg-ns/NAME.conf`.
enum ConfigurationChoice {
    static func source(_ word: String) throws -> ConfigurationSource {
        if word == "-" { return .text(try ConfigurationText(readingFrom: 0, label: "standard input"), name: "stdin") }
        if word.contains("/") || word.hasSuffix(".conf") || isFile(word) {
            // A pipe (`<(…)`) can be read once only, and not again by `repair`.
            if isPipe(word) {
                let file = try FileDescriptor.open(word, O_RDONLY)
                return .text(try ConfigurationText(readingFrom: file.rawValue, label: word), name: "pipe")
            }
            return .file(absolute(word))
        }
        guard !word.isEmpty else { throw TunnelError(.usage, "CONFIG is empty", cure: "give a path") }
        let candidates = candidates(word)
        for path in candidates where File.exists(path) { return .file(path) }
        let here = "\(word).conf"
        throw TunnelError(
            .configurationFile,
            "there is no configuration \"\(printable(word))\": neither \(candidates.joined(separator: " nor "))",
            cure: isFile(here) ? "did you mean \(printable(here))?" : "give a path")
    }

    static func candidates(_ name: String) -> [String] {
        var paths = ["/etc/wireguard/\(name).conf"]
        if let home = getenv("XDG_CONFIG_HOME") {
            paths.append("\(String(cString: home))/swg-ns/\(name).conf")
        } else if let home = getenv("HOME") {
            paths.append("\(String(cString: home))/.config/swg-ns/\(name).conf")
        }
        return paths
    }

    private static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private static func isPipe(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFIFO || status.st_mode & S_IFMT == S_IFSOCK
    }

    /// The state keeps it, and `repair` may be called elsewhere.
    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return "\(String(cString: here))/\(path)"
    }
}
