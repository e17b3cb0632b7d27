/// The numbers of the protocol, all in one place, as in the kernel's messages.h. Times are nanoseconds.
enum ProtocolLimits {
    static let nanosecondsPerSecond: UInt64 = 1_000_000_000

    /// REKEY_AFTER_MESSAGES.
    static let rekeyAfterMessages: UInt64 = 1 << 60
    /// REJECT_AFTER_MESSAGES: U64_MAX - COUNTER_WINDOW_SIZE - 1 (checklist S4).
    static let rejectAfterMessages: UInt64 = UInt64.max - UInt64(ReplayWindow.usableBits) - 1
    /// REKEY_AFTER_TIME, 120 s; only the initiator renews by age.
    static let rekeyAfterTime = 120 * nanosecondsPerSecond
    /// REJECT_AFTER_TIME, 180 s.
    static let rejectAfterTime = 180 * nanosecondsPerSecond
    /// REKEY_TIMEOUT, 5 s: the least time between two initiations, and the wait for a response.
    static let rekeyTimeout = 5 * nanosecondsPerSecond
    /// REKEY_TIMEOUT_JITTER_MAX_JIFFIES, a third of a second.
    static let rekeyTimeoutJitter: UInt64 = 333_000_000
    /// KEEPALIVE_TIMEOUT, 10 s.
    static let keepaliveTimeout = 10 * nanosecondsPerSecond
    /// Keys and handshakes are forgotten this long after the last session was derived.
    static let zeroKeysAfter = 3 * rejectAfterTime
    /// REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT: an initiator that only receives renews at this age.
    static let lastMinuteRekeyAge = rejectAfterTime - keepaliveTimeout - rekeyTimeout
    /// MAX_TIMER_HANDSHAKES: 90 / REKEY_TIMEOUT.
    static let maximumTimerHandshakes: UInt32 = 18
    /// NSEC_PER_SEC / INITIATIONS_PER_SECOND (checklist T2).
    static let initiationInterval = nanosecondsPerSecond / 50
    /// MAX_STAGED_PACKETS.
    static let maximumStagedPackets = 128
    /// MAX_QUEUED_INCOMING_HANDSHAKES.
    static let handshakeQueueCapacity = 4096
    /// MAX_PEERS_PER_DEVICE (checklist A3).
    static let maximumPeers = 1 << 20
    /// COOKIE_SECRET_MAX_AGE.
    static let cookieSecretMaximumAge = 120 * nanosecondsPerSecond
    /// COOKIE_SECRET_LATENCY.
    static let cookieSecretLatency = 5 * nanosecondsPerSecond
    /// MESSAGE_PADDING_MULTIPLE.
    static let paddingMultiple = 16
}
