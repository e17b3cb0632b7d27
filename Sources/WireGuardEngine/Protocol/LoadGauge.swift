import LinuxSystem

/// Whether the device is under load: the handshake queue is an eighth full, or was within the last second
/// (checklist C5). Control only.
struct LoadGauge {
    static let threshold = ProtocolLimits.handshakeQueueCapacity / 8

    private var lastUnderLoad: BootTime?

    mutating func isUnderLoad(queued: Int, at now: BootTime) -> Bool {
        if queued >= LoadGauge.threshold {
            lastUnderLoad = now
            return true
        }
        guard let last = lastUnderLoad else { return false }
        if last <= now && now.since(last) < ProtocolLimits.nanosecondsPerSecond { return true }
        lastUnderLoad = nil
        return false
    }
}
