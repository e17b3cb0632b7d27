import IPAddressing

/// What control may want to log about a peer, in the words of the kernel's debug messages; the simulation compares
/// it with a timer table of its own.
enum DeviceEvent: Equatable {
    /// With the number of this attempt, from 1.
    case sendsInitiation(attempt: UInt32)
    case sendsResponse(index: UInt32)
    /// An initiation that was proven, and answered unless its ephemeral key was bad.
    case receivedInitiation
    case receivedResponse
    /// A response to the handshake in progress, good by its first MAC, that does not decrypt: most often another
    /// preshared key. The handshake goes on waiting (checklist N9).
    case receivedUndecryptableResponse(from: Endpoint)
    /// Twenty initiations without an answer: staged packets are dropped.
    case gaveUp
    /// All keys of the peer are forgotten: 540 s without a new session.
    case forgotKeys
}
