import Glibc
import LinuxSystem

/// Where the engine's program is: beside our own executable, then in `../libexec/swg-ns/`. Never through
/// PATH: it gets keys.
enum EngineLocator {
    static let programName = "swg-engine"

    /// - Parameter mayUseEnvironment: SWG_ENGINE names it, for `swg-ns` only and not under AT_SECURE.
    static func find(mayUseEnvironment: Bool) throws(TunnelError) -> String {
        if mayUseEnvironment, let value = getenv("SWG_ENGINE") {
            let path = String(cString: value)
            guard path.hasPrefix("/"), access(path, X_OK) == 0 else {
                throw TunnelError(
                    .unavailable, "SWG_ENGINE=\(printable(path)) is not an executable file",
                    cure: "give the engine's absolute path, or unset it")
            }
            return path
        }
        let candidates = candidates()
        for path in candidates where access(path, X_OK) == 0 { return path }
        throw TunnelError(
            .unavailable, "the engine is at none of: \(candidates.joined(separator: ", "))",
            cure: "install \(programName) beside this program")
    }

    /// The program that is installed with us has our version; another is asked.
    static func version(of program: String) -> String? {
        candidates().contains(program) ? programVersion : askVersion(program)
    }

    /// What `PROGRAM --version` says: `swg-engine 1.0.0`, `wireguard-go v0.0.20220316` and more lines; nil without
    /// an answer. Takes an execution, so that attach does not do it for an engine that was installed with us.
    static func askVersion(_ program: String) -> String? {
        let spawn = Spawn(.path(program), arguments: [program, "--version"], environment: [])
        guard let run = try? spawn.capture(deadlineMilliseconds: 2000, limitBytes: 1 << 16) else { return nil }
        return version(inAnswer: String(decoding: run.output, as: UTF8.self))
    }

    /// The second word of the first line, as long as it could be a version.
    static func version(inAnswer text: String) -> String? {
        let words = text.prefix { $0 != "\n" }.split(separator: " ")
        guard words.count > 1, words[1].contains(where: \.isNumber), words[1].utf8.count < 64 else { return nil }
        return printable(String(words[1]))
    }

    private static func candidates() -> [String] {
        guard let own = try? File.readLink("/proc/self/exe"), let slash = own.lastIndex(of: "/") else { return [] }
        let directory = own[..<slash]
        var paths = ["\(directory)/\(programName)"]
        if let parent = directory.lastIndex(of: "/") {
            paths.append("\(directory[..<parent])/libexec/swg-ns/\(programName)")
        }
        return paths
    }
}
