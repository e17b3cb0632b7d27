import LinuxSystem

/// Tells the log what a handshake says about the configuration, in the words of wireguard-go and at its level.
///
/// Anybody who knows our public key can provoke such a line, so there is at most one in some seconds for the whole
/// device. `swg-ns run` reads it when no handshake comes. Control only.
final class HandshakeLog {
    private static let intervalNanoseconds: UInt64 = 2_000_000_000

    private let log: EngineLog
    private var silentUntil = BootTime(nanoseconds: 0)

    init(_ log: EngineLog) { self.log = log }

    func note(_ event: DeviceEvent, at now: BootTime = .now) {
        guard case .receivedUndecryptableResponse(let endpoint) = event, now >= silentUntil else { return }
        silentUntil = now.advanced(byNanoseconds: HandshakeLog.intervalNanoseconds)
        log.verbose(
            "Received invalid response message from \(endpoint): undecryptable; is PresharedKey the same there?")
    }
}
