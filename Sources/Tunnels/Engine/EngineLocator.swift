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

    /// The program that is installed with us has our version; another one's is not known.
    static func version(of program: String) -> String? { candidates().contains(program) ? programVersion : nil }

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
