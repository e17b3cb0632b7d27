import CLinux
import Glibc
import LinuxSystem
import Namespaces
import WireGuardConfig

/// PreUp, PostUp, PreDown and PostDown of a wg-quick file. wg-quick(8).
extension Hooks {
    enum Moment: String {
        case preUp = "PreUp"
        case postUp = "PostUp"
        case preDown = "PreDown"
        case postDown = "PostDown"
    }

    subscript(moment: Moment) -> [String] {
        switch moment {
        case .preUp: preUp
        case .postUp: postUp
        case .preDown: preDown
        case .postDown: postDown
        }
    }

    /// One line for all that were not run.
    var notice: String {
        let names = [Moment.preUp, .postUp, .preDown, .postDown].filter { !self[$0].isEmpty }.map(\.rawValue)
        return "\(names.joined(separator: ", ")) of the file are not run (give --hooks to run them); "
            + "a kill switch among them is not needed: the namespace itself is one"
    }

    /// Runs the lines in order, each in a shell in the target's network namespace and our mount namespace. The
    /// first that fails ends it.
    func run(_ moment: Moment, interface: String, inside namespace: Int32) throws(TunnelError) {
        for command in expanded(interface: interface)[moment] {
            let ending: ChildProcess.Ending
            do throws(SystemError) {
                let shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh"
                var spawn = Spawn(
                    .path(shell), arguments: [shell, "-c", command],
                    environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"],
                    // Standard output is the report's, perhaps JSON.
                    descriptors: [0, 2, 2])
                spawn.networkNamespace = namespace
                ending = try spawn.start().wait()
            } catch {
                throw TunnelError(error, doing: "running a \(moment.rawValue) hook")
            }
            guard ending == .exited(0) else {
                throw TunnelError(
                    .system,
                    "a \(moment.rawValue) hook failed with status \(ending.shellStatus): \(printable(command))",
                    cure: "mend the line, or leave hooks out (without --hooks)")
            }
        }
    }
}
