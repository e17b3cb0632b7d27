import Glibc
import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// The handshake that `run` waits for before it starts the command: whoever runs a command behind a tunnel
/// wants to hear now that the key is wrong, not in a time-out of the command's own.
struct CommandHandshake {
    let peer: PeerConfiguration
    let endpoint: Endpoint
    let device: LiveDevice
    let seconds: Double

    /// Between two looks, in milliseconds.
    static let intervalMilliseconds: Int32 = 20

    /// Nil when no peer has an endpoint: then only the other side can begin.
    init?(_ configuration: DeviceConfiguration, _ device: LiveDevice, seconds: Double) {
        guard let peer = configuration.peers.first(where: { $0.endpoint != nil }), let endpoint = peer.endpoint else {
            return nil
        }
        self.peer = peer
        self.endpoint = endpoint
        self.device = device
        self.seconds = seconds
    }

    func begin() throws(TunnelError) { try FirstHandshake.trigger(device, peer) }

    func isDone() throws(TunnelError) -> Bool { try FirstHandshake.isDone(device, peer) }

    /// All that is known about why it did not happen, and what silence can mean.
    ///
    /// - Parameters:
    ///   - probe: the question that was asked meanwhile.
    ///   - engineLog: what the engine wrote; empty with the kernel's driver.
    func diagnosis(_ probe: EndpointProbe?, engineLog: String) -> TunnelError {
        let after = "no handshake with \(endpoint) within \(Int(seconds.rounded(.up))) s"
        if let refusal = (probe ?? EndpointProbe(endpoint)).refusal() {
            return TunnelError(.handshake, "\(after): \(refusal.text)", cure: refusal.cure)
        }
        let received = (try? device.status())?.peers[peer.publicKey]?.receivedBytes ?? 0
        if received > 0 || CommandHandshake.tellsOfUndecryptableAnswer(engineLog) {
            return TunnelError(
                .handshake, "\(after): answers came that could not be decrypted",
                cure:
                    "compare the keys of both sides: PresharedKey first, then PublicKey here and the peer's own there")
        }
        return TunnelError(
            .handshake, "\(after): no answer at all",
            cure:
                "WireGuard keeps silent towards whom it does not know, so it can be: a wrong PublicKey or PresharedKey, "
                + "our public key missing there, a wrong Endpoint, a filtered UDP port, the key in use elsewhere, "
                + "or a clock that is behind an earlier handshake")
    }

    /// The words of our engine and of wireguard-go.
    static func tellsOfUndecryptableAnswer(_ log: String) -> Bool {
        let lower = log.lowercased()
        let words = ["undecryptable", "invalid response", "failed to decrypt", "invalid mac"]
        return words.contains(where: lower.holds)
    }
}

/// The line on a terminal while something is waited for; it takes itself away.
struct StatusLine {
    private let isOn: Bool
    private var shown = ""

    /// - Parameter quiet: never.
    init(quiet: Bool) { isOn = !quiet && isatty(2) == 1 }

    mutating func show(_ text: String) {
        guard isOn, text != shown else { return }
        shown = text
        write("\r\u{1b}[K\(text)")
    }

    mutating func clear() {
        guard isOn, !shown.isEmpty else { return }
        shown = ""
        write("\r\u{1b}[K")
    }

    private func write(_ text: String) { _ = text.withCString { Glibc.write(2, $0, strlen($0)) } }
}

/// A line for the user on standard error.
enum Notice {
    static func write(_ line: String) {
        _ = "swg-ns: \(line)\n".withCString { Glibc.write(2, $0, strlen($0)) }
    }
}
