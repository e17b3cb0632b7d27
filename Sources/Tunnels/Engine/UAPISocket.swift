import Glibc
import LinuxSystem

/// The UNIX socket on which an engine is asked and told, at the place where wg(8) looks for it.
///
/// `/var/run/wireguard/ID.sock` for root, `STATE/uapi/ID.sock` otherwise. It belongs to a mount namespace and
/// not to a network namespace: `wg show ID` works from anywhere.
enum UAPISocket {
    static let systemDirectory = "/var/run/wireguard"

    static func path(for id: TunnelID, state: StateDirectory) -> String {
        SystemPlaces.areOurs ? "\(systemDirectory)/\(id).sock" : "\(state.uapi)/\(id).sock"
    }

    /// Binds and listens.
    static func listen(at path: String) throws(TunnelError) -> FileDescriptor {
        do throws(SystemError) {
            return try UnixSocket.listen(at: path, backlog: 16, directoryMode: SystemPlaces.areOurs ? 0o755 : 0o700)
        } catch {
            let cure = error.errno.rawValue == EADDRINUSE ? "choose another --id" : nil
            throw TunnelError(error, doing: "opening the engine's control socket", cure: cure)
        }
    }
}
